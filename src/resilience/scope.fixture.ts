import type { Call, Clock, ScopeFields } from "../base/index.ts";
import { anonymous, CallScope, createDeadlines } from "../base/index.ts";

/** For this room's tests: the scope of a call on the given clock. */
export function scopeOn(clock: Clock, fields: Partial<ScopeFields> & { remainingMs?: number } = {}): CallScope {
  const { remainingMs = 5000, ...rest } = fields;
  const deadlines = createDeadlines(clock);
  return new CallScope({
    principal: anonymous,
    caller: "test",
    deadline: clock.now() + remainingMs,
    deadlines,
    ...rest,
  });
}

/** A call that answers or fails when the test says so, and counts how often it was asked. */
export function pendingCall(): {
  call: Call;
  count: () => number;
  resolve(value: unknown): void;
  reject(e: unknown): void;
} {
  const waiting: { resolve: (value: unknown) => void; reject: (e: unknown) => void }[] = [];
  let count = 0;
  return {
    call: () => {
      count++;
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    count: () => count,
    resolve: (value) => waiting.shift()?.resolve(value),
    reject: (e) => waiting.shift()?.reject(e),
  };
}
