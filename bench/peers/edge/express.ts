import express, { type NextFunction, type Request, type Response } from "express";
import { announce } from "../../child.ts";
import { orderOf, status } from "../../edge/order.ts";
import { listening } from "./listening.ts";
import { OrderBody, Shop } from "./order-zod.ts";

/** Express with its body parser, validation by zod. */
const app = express();

app.get("/status", (_req, res) => {
  res.json(status);
});

app.post("/shops/:shop/orders", express.json(), (req, res) => {
  const { shop } = Shop.parse(req.params);
  res.json(orderOf(shop, OrderBody.parse(req.body)));
});

app.use((_error: unknown, _req: Request, res: Response, _next: NextFunction) => {
  res.status(400).json({ error: "invalid" });
});

announce(await listening(app.listen(0, "127.0.0.1")));
