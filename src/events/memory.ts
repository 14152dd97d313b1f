import type { Clock } from "../base/index.ts";
import { error, newId, systemClock } from "../base/index.ts";
import type { CrashPoint } from "./crash-points.ts";
import { noCrashPoint } from "./crash-points.ts";
import type { Broker, Deliver, Delivery, ReplayRequest, Subscribed, Subscriber, SubscriptionSpec } from "./driver.ts";
import type { EventMessage } from "./event.ts";
import { orderKeyOf } from "./event.ts";
import { refusalOf } from "./redeliver.ts";
import { checkTimes, forgotten, rememberedMsMin } from "./replay-request.ts";
import { checkSubscriber, withinGrace } from "./subscriber.ts";

export interface MemoryBrokerOptions {
  readonly clock?: Clock;
  /** Messages that may wait in one subscription. Above it, `publish` is refused with BROKER_FULL. Default 100,000. */
  readonly pendingCountMax?: number;
  /** Messages kept to be replayed, the newest. Default 10,000. */
  readonly historyCountMax?: number;
  readonly crashPoint?: CrashPoint;
}

/**
 * The reference broker: one process, in memory. What it holds is gone with the process, so it suits tests and what
 * may be lost; the broker in the database is the default elsewhere.
 */
export function createMemoryBroker(options: MemoryBrokerOptions = {}): Broker {
  const {
    clock = systemClock,
    pendingCountMax = 100_000,
    historyCountMax = 10_000,
    crashPoint = noCrashPoint,
  } = options;
  const history: Published[] = [];
  const groups = new Map<string, Group>();
  const groupOf = (subscription: string): Group => {
    const known = groups.get(subscription);
    if (known) return known;
    const group = createGroup(clock, crashPoint);
    groups.set(subscription, group);
    return group;
  };
  const requested = (request: ReplayRequest): readonly EventMessage[] => {
    checkTimes(request);
    const { subscription, from, to, types } = request;
    const group = groups.get(subscription);
    if (!group) throw unknownSubscription(subscription);
    const remembered = clock.wallNow() - rememberedMsMin;
    if (!request.again && Date.parse(from) < remembered) throw forgotten(new Date(remembered).toISOString());
    const [since, until] = [Date.parse(from), to === undefined ? Number.POSITIVE_INFINITY : Date.parse(to)];
    return history
      .filter(({ at }) => at >= since && at < until)
      .map(({ message }) => message)
      .filter(({ type }) => group.types.has(type) && (types?.includes(type) ?? true));
  };
  const ensure = (specs: readonly SubscriptionSpec[]): void => {
    for (const { subscription, types } of specs)
      for (const type of types) groupOf(subscription).types.set(type, clock.wallNow());
  };

  return {
    name: "memory",
    flags: { durable: false, multipleProcesses: false, ordered: true, replays: true },
    async open() {},
    async ensure(specs) {
      ensure(specs);
    },
    async publish(messages) {
      for (const [subscription, group] of groups) {
        const added = messages.filter((message) => group.types.has(message.type)).length;
        if (group.pendingCount() + added <= pendingCountMax) continue;
        throw error("resource_exhausted", `The broker holds as many messages for ${subscription} as it may.`, {
          reason: "BROKER_FULL",
          retry: 1000,
          executed: "no",
        });
      }
      history.push(...messages.map((message) => ({ message, at: clock.wallNow() })));
      history.splice(0, history.length - historyCountMax);
      for (const group of groups.values()) group.add(messages);
    },
    async subscribe(subscriber, deliver) {
      checkSubscriber(subscriber);
      ensure([subscriber]);
      return groupOf(subscriber.subscription).join(subscriber, deliver);
    },
    async stats() {
      return [...groups].map(([subscription, group]) => ({
        subscription,
        pendingCount: group.pendingCount(),
        oldestAgeMs: group.oldestAgeMs(),
        parkedCount: group.parkedCount(),
        types: [...group.types].sort().map(([type, at]) => ({ type, ensuredAt: new Date(at).toISOString() })),
      }));
    },
    async planReplay(request) {
      const messages = requested(request);
      const pendingCount = messages.filter((message) => groups.get(request.subscription)?.has(message.id)).length;
      const [oldest] = history;
      return { messageCount: messages.length, pendingCount, keptSince: oldest && new Date(oldest.at).toISOString() };
    },
    async replay(request) {
      const group = groups.get(request.subscription);
      const messages = requested(request).filter((message) => !group?.has(message.id));
      const id = newId();
      group?.add(messages, { id, again: request.again });
      return { id, deliveredCount: messages.length, resumed: false, done: true };
    },
    async retire(subscription, types) {
      const group = groups.get(subscription);
      if (!group) return 0;
      for (const type of types ?? [...group.types.keys()]) group.types.delete(type);
      if (group.types.size === 0) groups.delete(subscription);
      return group.clear(types);
    },
    async close() {
      await withinGrace(clock, Promise.all([...groups.values()].map((group) => group.stop())));
    },
  };
}

interface Published {
  readonly message: EventMessage;
  readonly at: number;
}

interface Entry {
  readonly message: EventMessage;
  readonly at: number;
  readonly replay: Delivery["replay"];
  attempt: number;
  firstFailedAt: string | undefined;
  /** Retired while a handler had it, or while it was parked. */
  isGone: boolean;
}

interface Member {
  readonly concurrency: number;
  readonly deliver: Deliver;
  readonly running: Set<Promise<void>>;
  stopped: boolean;
}

/** One subscription: a line of messages for each key, and those who take from the head of the lines. */
interface Group {
  /** Each with when it was last asked for. */
  readonly types: Map<string, number>;
  add(messages: readonly EventMessage[], replay?: Delivery["replay"]): void;
  has(messageId: string): boolean;
  /** Forgets all that waits, or all of these types. */
  clear(types?: readonly string[]): number;
  join(subscriber: Subscriber, deliver: Deliver): Subscribed;
  stop(): Promise<void>;
  pendingCount(): number;
  oldestAgeMs(): number;
  parkedCount(): number;
}

function createGroup(clock: Clock, crashPoint: CrashPoint): Group {
  const types = new Map<string, number>();
  const lines = new Map<string, Entry[]>();
  /** Keys whose head may run now. A key is in here, or running, or parked until its wait is over. */
  const ready: string[] = [];
  const parked = new Set<string>();
  const members: Member[] = [];
  let pendingCount = 0;
  let turn = 0;

  const nextMember = (): Member | undefined => {
    for (let i = 0; i < members.length; i++) {
      const member = members[turn++ % members.length] as Member;
      if (!member.stopped && member.running.size < member.concurrency) return member;
    }
    return undefined;
  };
  const dispatch = (): void => {
    while (ready.length > 0) {
      const member = nextMember();
      if (!member) return;
      const key = ready.shift() as string;
      const running = runHead(key, member).then(() => {
        member.running.delete(running);
        dispatch();
      });
      member.running.add(running);
    }
  };
  const runHead = async (key: string, member: Member): Promise<void> => {
    const line = lines.get(key) as Entry[];
    const entry = line[0] as Entry;
    entry.attempt++;
    crashPoint("delivery.claimed");
    try {
      const { message, attempt, replay, firstFailedAt } = entry;
      await member.deliver({ message, attempt, ...(replay && { replay }), ...(firstFailedAt && { firstFailedAt }) });
    } catch (thrown) {
      const { delayMs, counted } = refusalOf(thrown);
      if (counted) entry.firstFailedAt ??= new Date(clock.wallNow()).toISOString();
      else entry.attempt--;
      if (entry.attempt > 0) parked.add(key);
      clock.after(delayMs, () => {
        if (lines.get(key) !== line) return;
        parked.delete(key);
        if (entry.isGone) return goOn(key, line);
        ready.push(key);
        dispatch();
      });
      return;
    }
    crashPoint("delivery.acked");
    // It was retired meanwhile.
    if (lines.get(key) !== line) return;
    if (!entry.isGone) pendingCount--;
    goOn(key, line);
  };
  const goOn = (key: string, line: Entry[]): void => {
    line.shift();
    if (line.length > 0) ready.push(key);
    else lines.delete(key);
    dispatch();
  };
  /** Forgets those of a line; the head stays for whoever has it, and is gone when that is over. */
  const clearLine = (key: string, line: Entry[], goes: (entry: Entry) => boolean): void => {
    const gone = line.filter((entry) => goes(entry) && !entry.isGone);
    for (const entry of gone) entry.isGone = true;
    pendingCount -= gone.length;
    const isIdle = ready.includes(key);
    const rest = line.filter((entry, i) => !entry.isGone || (i === 0 && !isIdle));
    line.splice(0, line.length, ...rest);
    if (rest.length > 0) return;
    lines.delete(key);
    ready.splice(ready.indexOf(key), 1);
  };
  const stopMember = async (member: Member): Promise<void> => {
    member.stopped = true;
    await Promise.all(member.running);
    const index = members.indexOf(member);
    if (index >= 0) members.splice(index, 1);
  };

  return {
    types,
    add(messages, replay) {
      for (const message of messages) {
        if (!types.has(message.type)) continue;
        const key = orderKeyOf(message);
        const line = lines.get(key);
        pendingCount++;
        const entry: Entry = { message, at: clock.now(), replay, attempt: 0, firstFailedAt: undefined, isGone: false };
        if (line) line.push(entry);
        else {
          lines.set(key, [entry]);
          ready.push(key);
        }
      }
      setImmediate(dispatch);
    },
    join({ concurrency }, deliver) {
      const member: Member = { concurrency, deliver, running: new Set(), stopped: false };
      members.push(member);
      setImmediate(dispatch);
      return { stop: () => stopMember(member) };
    },
    async stop() {
      await Promise.all(members.map(stopMember));
    },
    has: (messageId) =>
      [...lines.values()].some((line) => line.some(({ message, isGone }) => !isGone && message.id === messageId)),
    clear(gone) {
      const before = pendingCount;
      for (const [key, line] of [...lines]) clearLine(key, line, ({ message }) => gone?.includes(message.type) ?? true);
      return before - pendingCount;
    },
    pendingCount: () => pendingCount,
    parkedCount: () => parked.size,
    oldestAgeMs() {
      const now = clock.now();
      let oldest = now;
      for (const line of lines.values()) oldest = Math.min(oldest, (line[0] as Entry).at);
      return now - oldest;
    },
  };
}

function unknownSubscription(subscription: string): Error {
  return error("not_found", `The broker knows no subscription "${subscription}".`, {
    reason: "SUBSCRIPTION_UNKNOWN",
    executed: "no",
  });
}
