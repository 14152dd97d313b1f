import Router from "@koa/router";
import { Ajv } from "ajv";
import Koa from "koa";
import bodyParser from "koa-bodyparser";
import { announce } from "../../child.ts";
import { OrderBody, orderOf, shopPattern, status } from "../../edge/order.ts";
import { listening } from "./listening.ts";

/** Koa with its router and body parser, validation by ajv. */
const accepts = new Ajv().compile<OrderBody>(OrderBody);
const app = new Koa();
const router = new Router();

router.get("/status", (context) => {
  context.body = status;
});

router.post("/shops/:shop/orders", bodyParser(), (context) => {
  const { shop = "" } = context.params;
  const { body } = context.request as unknown as { body: unknown };
  if (!shopPattern.test(shop) || !accepts(body)) return context.throw(400, "invalid");
  context.body = orderOf(shop, body);
});

app.use(router.routes()).use(router.allowedMethods());

announce(await listening(app.listen(0, "127.0.0.1")));
