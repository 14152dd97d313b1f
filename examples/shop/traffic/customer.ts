import { setTimeout as sleep } from "node:timers/promises";
import type { Dice } from "./dice.ts";
import { type Answer, NoAnswer, type Sending, type Wire } from "./wire.ts";

/** An answer that the shop must not give: a wrong shape, a wrong sum, a status that is not declared. */
export class WrongAnswer extends Error {}

/** An operation that did not work, in a way that may happen: the shop was away, or too busy. */
export class Failure extends Error {}

/** Somebody who shops: a token, and what is remembered from page to page. One thing at a time. */
export interface Customer {
  readonly token: string;
  readonly wire: Wire;
  readonly dice: Dice;
  /** The products as this customer comes across them: another one each time, so that what is bought is not bought again at once. */
  readonly nextProduct: () => string;
  /** Where the list that was looked at goes on. */
  nextPage: string | undefined;
  /** In the last product looked at. */
  lastPrice: number;
}

/** Sends it; once more when an old connection turns out to be closed. What is sent here may be sent twice. */
export async function ask(wire: Wire, sending: Sending): Promise<Answer> {
  try {
    return await wire.send(sending);
  } catch (thrown) {
    if (!(thrown instanceof NoAnswer)) throw thrown;
    if (!thrown.isStale) throw new Failure(thrown.reason);
  }
  try {
    return await wire.send(sending);
  } catch (thrown) {
    throw thrown instanceof NoAnswer ? new Failure(thrown.reason) : thrown;
  }
}

/** The body of an answer with this status. What is the shop's trouble is a failure; anything else is wrong. */
export async function take(wire: Wire, sending: Sending, status = 200): Promise<any> {
  const answer = await ask(wire, sending);
  if (answer.status === status) return answer.body;
  throw refusal(sending.route, answer);
}

export function refusal(route: string, { status, body }: Answer): Error {
  const reason = typeof body?.reason === "string" ? body.reason : "no reason";
  if (isTrouble(status)) return new Failure(`${status} ${reason}`);
  return new WrongAnswer(`${route} answered ${status} ${reason}`);
}

/** Statuses by which the shop says: not now. */
export function isTrouble(status: number): boolean {
  return status === 429 || status >= 500;
}

/** Throws unless it holds. */
export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new WrongAnswer(what);
}

/** A session for an address: opened, or, where the address is known from a run before, signed in to. */
export async function signUp(wire: Wire, email: string, patienceMs = 30_000): Promise<string> {
  const password = "a long enough password";
  const endAt = performance.now() + patienceMs;
  for (;;) {
    try {
      const answer = await ask(wire, { route: "POST /accounts", body: { email, password, name: "A customer" } });
      if (answer.body?.reason === "EMAIL_PENDING") throw new Failure("409 EMAIL_PENDING");
      if (answer.status !== 201 && answer.status !== 409) throw refusal("POST /accounts", answer);
      const session =
        answer.status === 201
          ? answer.body
          : await take(wire, { route: "POST /sessions", body: { email, password } }, 201);
      check(typeof session?.token === "string", `a session without a token: ${JSON.stringify(session)}`);
      return session.token;
    } catch (thrown) {
      if (!(thrown instanceof Failure) || performance.now() > endAt) throw thrown;
      await sleep(200);
    }
  }
}
