import type { Server } from "node:http";
import { serve } from "@hono/node-server";
import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import { announce } from "../../child.ts";
import { orderOf, status } from "../../edge/order.ts";
import { listening } from "./listening.ts";
import { OrderBody, Shop } from "./order-zod.ts";

/** Hono on Node, with its zod validator. */
const app = new Hono();

app.get("/status", (context) => context.json(status));

app.post("/shops/:shop/orders", zValidator("param", Shop), zValidator("json", OrderBody), (context) =>
  context.json(orderOf(context.req.valid("param").shop, context.req.valid("json"))),
);

announce(await listening(serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }) as Server));
