import assert from "node:assert/strict";
import { announce } from "../child.ts";
import { type Driven, drive } from "./drive.ts";
import { type Case, cases, type Exchange, messageOf } from "./message.ts";

/** The calling side of a way that is not Plinth's: proves that its answers are right, and calls when it is asked to. */
export function announceCaller(exchange: Exchange): void {
  let chosen = cases[0] as Case;
  announce(
    {},
    {
      async choose(index) {
        chosen = cases[index] as Case;
        await proveAnswers(exchange, chosen.bytes);
      },
      run: (seconds) => driveExchange(exchange, chosen, seconds),
    },
  );
}

/** Whatever is sent comes back, to the last field. */
export async function proveAnswers(exchange: Exchange, bytes: number): Promise<void> {
  const message = messageOf(bytes);
  for (const sent of [message, { ...message, id: "another", urgent: false, note: "€ 1.000, mañana" }]) {
    assert.deepEqual(JSON.parse(JSON.stringify(await exchange(sent)), withoutTypeNames), sent);
  }
}

/** Protobuf's messages say what they are. */
function withoutTypeNames(key: string, value: unknown): unknown {
  return key === "$typeName" ? undefined : value;
}

/** All sides do the same for each call; what comes back is looked at as it comes. */
export function driveExchange(exchange: Exchange, { inFlight, bytes }: Case, seconds: number): Promise<Driven> {
  const message = messageOf(bytes);
  const call = async () => {
    const answer = await exchange(message);
    if (answer.id !== message.id || answer.lines.length !== message.lines.length)
      throw new Error("something else came back");
  };
  return drive(call, seconds, inFlight);
}
