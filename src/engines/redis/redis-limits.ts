import { StartError } from "../../base/index.ts";
import type { Demand, LimitDriver, Place, QuotaState, Rule, Taken } from "../../limits/index.ts";
import type { RedisConnection } from "./connection.ts";
import { replyOf } from "./connection.ts";
import { releasePlacesScript, renewPlacesScript, takeScript } from "./redis-limits-script.ts";

export interface RedisLimitsOptions {
  readonly connection: RedisConnection;
  readonly prefix: string;
}

/**
 * The limiter driver. Every operation is one round trip, decided by one script, by the server's clock.
 *
 * Keys are `prefix:{limits/slot}:`, a letter for the kind of the rule, and the key; the braces keep a slot in one place of a
 * cluster. What the caller named comes last, so nothing in it can be taken for another part.
 *
 * A server that drops keys for lack of memory (`allkeys-…`) gives quotas anew; one that asynchronously copies to a replica
 * may, at a failover, forget the last moments. Both let more pass, never less.
 */
export class RedisLimits implements LimitDriver {
  readonly name = "redis";
  readonly flags = { shared: true };
  readonly #connection: RedisConnection;
  readonly #prefix: string;

  constructor({ connection, prefix }: RedisLimitsOptions) {
    this.#connection = connection;
    this.#prefix = prefix;
  }

  /** Does once what will be done later, because a user who may connect may still not be allowed to. */
  async open(): Promise<void> {
    await this.#connection.open();
    const rules: readonly Rule[] = [
      { kind: "window", quota: 1, windowMs: 1000 },
      { kind: "places", quota: 1, holdMs: 1000 },
    ];
    try {
      const holder = "probe";
      const demands = rules.map((rule) => ({ key: "probe", rule, cost: rule.kind === "places" ? 1 : 0, holder }));
      await this.take("probe", demands);
      const places = [{ key: "probe", holder, holdMs: 1 }];
      await this.renew("probe", places);
      await this.release("probe", places);
    } catch (thrown) {
      const reply = replyOf(thrown);
      if (!/NOPERM|READONLY|ERR /.test(reply)) return;
      await this.#connection.close();
      throw new StartError(
        "REDIS_COMMANDS_REFUSED",
        `redis: the server does not do what limits need (${reply}). Connect to a primary of version 5 or later, as a user with ACL rules ~${this.#prefix}:* +@sortedset +@string +@keyspace +@scripting +time`,
      );
    }
  }

  async take(slot: string, demands: readonly Demand[]): Promise<Taken> {
    const keys = demands.map(({ key, rule }) => this.#keyOf(slot, rule.kind, key));
    const reply = (await this.#connection.evaluate(takeScript, keys, demands.flatMap(toArguments))) as number[];
    return toTaken(reply, demands.length);
  }

  async release(slot: string, places: readonly Place[]): Promise<void> {
    const keys = places.map(({ key }) => this.#keyOf(slot, "places", key));
    await this.#connection.evaluate(
      releasePlacesScript,
      keys,
      places.map(({ holder }) => holder),
    );
  }

  async renew(slot: string, places: readonly Place[]): Promise<void> {
    const keys = places.map(({ key }) => this.#keyOf(slot, "places", key));
    await this.#connection.evaluate(
      renewPlacesScript,
      keys,
      places.flatMap(({ holder, holdMs }) => [holder, String(holdMs)]),
    );
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  #keyOf(slot: string, kind: Rule["kind"], key: string): string {
    const tag = slot.includes("}") || slot.includes("{") ? slot.replace(/[{}]/g, "_") : slot;
    return `${this.#prefix}:{limits/${tag}}:${letters[kind]}:${key}`;
  }
}

const letters: Readonly<Record<Rule["kind"], string>> = { bucket: "b", window: "w", calendar: "c", places: "p" };

/** Six for each demand: see `redis-limits-script.ts`. */
export function toArguments({ rule, cost, holder }: Demand): string[] {
  const letter = letters[rule.kind];
  const quota = String(rule.quota);
  switch (rule.kind) {
    case "bucket":
      return [letter, quota, String(rule.windowMs), String(rule.burst), String(cost), ""];
    case "window":
      return [letter, quota, String(rule.windowMs), "0", String(cost), ""];
    case "calendar":
      return [letter, quota, "0", rule.period, String(cost), ""];
    case "places":
      return [letter, quota, String(rule.holdMs), "0", String(cost), holder ?? ""];
  }
}

/** Four for each demand, after whether all of it was taken. */
export function toTaken(reply: readonly number[], count: number): Taken {
  const states: QuotaState[] = [];
  for (let i = 0; i < count; i++) {
    const [fits = 0, remaining = 0, resetMs = 0, retryMs = 0] = reply.slice(i * 4 + 1, i * 4 + 5);
    states.push({
      fits: fits === 1,
      remaining,
      resetMs,
      retryMs: retryMs < 0 ? Number.POSITIVE_INFINITY : retryMs,
    });
  }
  return { allowed: reply[0] === 1, states };
}
