/**
 * Why goals are not reached, and what was tried: by bench, and by what the names of the goals have in common, as in
 * `hop: { "plinth to nginx": "…" }`. Shown by `npm run bench -- --render` while one of those goals is not reached.
 */
export const whys: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "edge-on": {
    "log sampled to raw":
      "What is left above `raw` is spread: by the profile a sixth is the write to the socket, an eighth is outside of JavaScript, and " +
      "no function of ours is above 4 %. Bodies past the stream of Node's requests, an account of limits that is made once for a " +
      "caller, steps composed once and answers in one write took the GET from 0.71 to 0.79 by processor time, the POST from 0.70 to " +
      "0.79, old and new in one run on a busy machine. Log lines in prepared pieces, or kept as bytes until the batch, gave nothing.",
    "plinth to raw":
      "A line of the log costs 3 to 4 µs, most of it making the text: prepared pieces, ids cut at once, and lines kept as bytes until " +
      "the batch is written were tried and lie within the spread.",
    "p99 of plinth":
      "Half of the requests are answered within a millisecond, and `raw` has a p99 of 2.4 ms: there are a few long pauses. They are not " +
      "explained yet.",
  },
  call: {
    "RPC to":
      "Frames that leave at 4 KiB instead of at the end of the turn let both processes work at once, and nearly doubled the calls. What " +
      "is left of a call, both sides together: garbage 10 %, encoding 12 %, microtasks and dispatch 10 %, decoding 6 %, the clock 3.5 %.",
  },
  hop: {
    "plinth to nginx":
      "A plain `node:http` server with a bare socket to the upstream, the least parsing and no feature at all needs 14.9 µs for a GET, " +
      "nginx needs 12.6 and does not verify tokens: half of nginx is 25 µs, which leaves 10 µs for tokens, limits, headers, traces, retries, " +
      "balancing and the defence against overload. Plinth needs 32. Each seen beside the old code in one run, on other days: 87 to 43 and 44.6 to 36.9, by connections of our own instead of " +
      "undici's, requests built once, heads and short answers in one write. Fewer checks of what is sent, and verdicts remembered for " +
      "each header's name, gave nothing.",
    "plinth to @fastify/http-proxy":
      "By the profile the two writes to sockets are 17 %, reading the answer 10 %, making heads 8 %, tokens, limits and overload 8 %, garbage 6 %. " +
      "A promise for each request and two passes over the headers could still go.",
  },
  shop: {
    "the shop's mix":
      "Reads keep the rate; orders do not. An order is 17 to 27 ms of processor time, half of it Postgres', over twelve services, ten " +
      "deliveries and seven moves from outbox to broker, each statement planned anew where a table is empty now and full in a minute. " +
      "Measured at 20 orders a second on a busy machine: 400 of them, as 10,000 requests have, would be seven to eleven cores. One claim for all subscriptions of a process took " +
      "the claims from 10 to 5 an order. Several deliveries in one transaction were not built: their locks cross with those of the stock. " +
      "Next are the outbox row in the same round trip as COMMIT, events written straight into the broker's tables where both are " +
      "one database, and plans kept for a second.",
    "three services":
      "The services do little but answer, so what is compared is the platform, and Plinth's has deadlines, breakers, retries, metrics, " +
      "traces and security headers on, which the others were not asked for.",
  },
  state: {
    BullMQ:
      "BullMQ leaves to Redis what Plinth does in Postgres: what it moves is not in the transaction of the change, unless an outbox is " +
      "written by hand (`once`). A third of Postgres' time for an event is parsing and planning the statements of batches, whose tables " +
      "are empty now and full in a minute, an eighth is commits. Larger batches, one index fewer and one claim for all subscriptions were the gains so far.",
  },
  growth: {
    "10,000 routes":
      "The recorded run is older than the change that halved what 10,000 routes take at the start and in memory; in an interleaved run after " +
      "it, on a busy machine, ten routes took 14.4 µs and ten thousand 13.9.",
  },
  soak: {
    "heap after collection":
      "The first sample has 23 MiB, the second half 33 in the mean, and grows by 1.6; 2,576 customers sign in during the whole of it. What is supposed, and not " +
      "shown yet: tokens that were verified are remembered by number (10,000), so those that are over stay until as many have come.",
    "resident, MiB":
      "It fell by 13 MiB, but goes up and down by more than the bound, so the interval says nothing either way.",
  },
};
