import type { HeldReply, LineReader, LineReaderOptions } from "./exchange.ts";
import { holdReply, pass, requestSteps } from "./exchange.ts";
import type { Step } from "./pipe.ts";
import type { RespPart } from "./resp-framer.ts";
import { createRespFramer } from "./resp-framer.ts";
import type { Verdict } from "./rule.ts";

/**
 * Reads Redis' protocol, RESP2 and RESP3. What is asked is the command in capitals and its first argument, `GET cart:7`;
 * the answer is the first line of the reply, `+OK`, `$5`, `-ERR …`.
 *
 * Each command has one reply, in order, except in two modes that are not followed: MONITOR, and subscriptions over
 * RESP2. A line that enters one passes as it is from then on. What the server pushes of itself always passes.
 */
export function createRedisLine(options: LineReaderOptions): LineReader {
  const waiting: (Verdict | undefined)[] = [];
  let verdict: Verdict | undefined;
  let held: HeldReply | undefined;
  let raw = false;
  let pushes = false;

  const giveUp = (): void => {
    if (!raw) options.unread();
    raw = true;
  };
  const commands = createRespFramer(giveUp);
  const replies = createRespFramer(giveUp);

  const command = (part: RespPart): readonly Step[] => {
    if (part.first) {
      const [name = "", argument] = part.words;
      const upper = name.toUpperCase();
      if (upper === "HELLO") pushes = argument === "3";
      const subscribes = /^[PS]?(?:UN)?SUBSCRIBE$/.test(upper);
      if (upper === "MONITOR" || (subscribes && !pushes) || (upper === "CLIENT" && /^reply$/i.test(argument ?? "")))
        giveUp();
      verdict = raw ? undefined : options.judge(argument === undefined ? upper : `${upper} ${argument}`);
      // Over RESP3 a subscription is confirmed by a push.
      if (!subscribes) waiting.push(verdict);
    }
    return requestSteps(verdict, part, options);
  };
  const reply = (part: RespPart): readonly Step[] => {
    if (part.type === ">") return [pass(part.bytes)];
    if (part.first) held = holdReply(waiting.shift(), options);
    return held ? held.take(part.bytes, part.last ? part.line : undefined) : [pass(part.bytes)];
  };

  return {
    up: (chunk) => (raw ? [pass(chunk)] : commands.push(chunk).flatMap(command)),
    down: (chunk) => (raw ? [pass(chunk)] : replies.push(chunk).flatMap(reply)),
  };
}
