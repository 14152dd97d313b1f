import { z } from "zod";

/** The order as zod's users would say it. */
export const Shop = z.object({ shop: z.string().regex(/^[a-z]{1,20}$/) });

export const OrderBody = z.object({
  customer: z.object({ name: z.string().min(1).max(100), email: z.string().min(3).max(254) }),
  items: z
    .array(
      z.object({
        sku: z.string().regex(/^[a-z0-9-]{1,40}$/),
        quantity: z.int().min(1).max(99),
        price: z.int().min(0),
      }),
    )
    .min(1)
    .max(50),
  express: z.boolean(),
  note: z.string().max(500),
});
