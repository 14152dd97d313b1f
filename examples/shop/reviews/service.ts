import { database, newId, service, sql, type Transaction } from "plinth";
import { accounts } from "../accounts/contract.ts";
import { checkout } from "../checkout/contract.ts";
import { type Review, reviews } from "./contract.ts";

interface ReviewRow {
  id: string;
  product_id: string;
  author: string;
  stars: number;
  text: string;
  created_at: string;
}

function toReview({ id, product_id, author, stars, text, created_at }: ReviewRow): Review {
  return { id, productId: product_id, author, stars, text, createdAt: created_at };
}

/** Keeps the sum beside the reviews, so that nobody has to add up thousands. */
async function addToRating(tx: Transaction, productId: string, change: { count: number; stars: number }) {
  await tx.sql`
    insert into ratings (product_id, review_count, star_sum) values (${productId}, 0, 0) on conflict do nothing`;
  await tx.sql`
    update ratings set review_count = review_count + ${change.count}, star_sum = star_sum + ${change.stars}
    where product_id = ${productId}`;
}

export default service(reviews, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }), accounts },
  methods: {
    async listReviews({ productId, limit = 20, after }, { db }) {
      const older = after === undefined ? sql`true` : sql`id < ${after}`;
      const [ratings, rows] = await Promise.all([
        db.sql<{ count: number; stars: number }>`
          select review_count as count, star_sum as stars from ratings where product_id = ${productId}`,
        // One more than asked for: it tells whether there is another page.
        db.sql<ReviewRow>`
          select * from reviews where product_id = ${productId} and ${older} order by id desc limit ${limit + 1}`,
      ]);
      const { count, stars } = ratings[0] ?? { count: 0, stars: 0 };
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      return {
        rating: { count, ...(count > 0 && { average: Math.round((10 * stars) / count) / 10 }) },
        reviews: page.map(toReview),
        ...(rows.length > limit && last && { next: last.id }),
      };
    },

    async writeReview({ productId, stars, text }, { db, accounts, principal, fail }) {
      const accountId = principal.subject;
      const [bought] = await db.sql`
        select 1 from purchases where account_id = ${accountId} and product_id = ${productId}`;
      if (!bought) throw fail("NOT_BOUGHT", "Only who has bought it may write about it.");
      const { name } = await accounts.getMine();
      return db.transaction(async (tx) => {
        const before = await takeAway(tx, accountId, productId);
        const [row] = await tx.sql<ReviewRow>`
          insert into reviews (id, product_id, account_id, author, stars, text)
          values (${newId()}, ${productId}, ${accountId}, ${name}, ${stars}, ${text}) returning *`;
        if (!row) throw new Error("an insert gives its row");
        await addToRating(tx, productId, { count: 1 - before.count, stars: stars - before.stars });
        return toReview(row);
      });
    },

    async withdrawReview({ productId }, { db, principal }) {
      await db.transaction(async (tx) => {
        const before = await takeAway(tx, principal.subject, productId);
        if (before.count > 0) await addToRating(tx, productId, { count: -1, stars: -before.stars });
      });
    },
  },
  subscriptions: {
    rememberPurchase: {
      event: checkout.OrderPlaced,
      async handle({ accountId, items }, { tx }) {
        await tx.sql`
          insert into purchases (account_id, product_id)
          select ${accountId}, id from unnest(${items.map((item) => item.productId)}::text[]) as one (id) order by id
          on conflict do nothing`;
      },
    },
  },
});

/** Removes somebody's review of a product: how many there were (none or one), and its stars. */
async function takeAway(tx: Transaction, accountId: string, productId: string) {
  // Two at once for one customer and product: the second waits here until the first is done.
  await tx.sql`
    select 1 from purchases where account_id = ${accountId} and product_id = ${productId} for update`;
  const rows = await tx.sql<{ stars: number }>`
    delete from reviews where account_id = ${accountId} and product_id = ${productId} returning stars`;
  return { count: rows.length, stars: rows[0]?.stars ?? 0 };
}
