import type { Balancer, Member } from "../balancing/index.ts";
import { createBalancer } from "../balancing/index.ts";
import type { Clock, Random } from "../base/index.ts";
import { Endpoint, endpointName } from "./endpoint.ts";
import type { HealthCheck } from "./health-check.ts";
import { createHealthCheck } from "./health-check.ts";
import type { UpstreamLog } from "./log.ts";
import type { Resolve, Resolver } from "./resolver.ts";
import { createResolver } from "./resolver.ts";
import type { ParsedTarget } from "./target.ts";
import type { TargetState } from "./upstream.ts";
import type { UpstreamMetrics } from "./upstream-metrics.ts";
import type { UpstreamSettings } from "./upstream-settings.ts";

export interface TargetGroupParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly resolve: Resolve;
  readonly log: UpstreamLog;
  readonly metrics: UpstreamMetrics;
}

/** How often ejections are looked at. */
const lookEveryMs = 1000;

/** One target while its name is watched. */
interface Watched {
  target: ParsedTarget;
  /** Undefined until the name was looked up for the first time; [undefined] for a target that needs no lookup. */
  addresses: readonly (string | undefined)[] | undefined;
  /** Whether its first lookup is over, whatever its result. */
  isAsked: boolean;
  readonly resolver: Resolver | undefined;
}

/**
 * The targets of an upstream as they are now: their addresses, connections and health.
 *
 * Targets that are declared no more go on while their successors' names are looked up for the first time, for `startMs` at
 * most, and as long as no name of them all is known: a slow name server, or a wrong name, takes no service down.
 */
export class TargetGroup {
  balancer: Balancer<Endpoint>;
  readonly #name: string;
  readonly #parts: TargetGroupParts;
  #settings: UpstreamSettings;
  #watched = new Map<string, Watched>();
  /** Declared no more, and in use until those that are can be. */
  readonly #held = new Map<string, Watched>();
  #isPatient = false;
  #cancelPatience = (): void => {};
  readonly #checks = new Map<Endpoint, HealthCheck>();
  /** Gone, but something is under way there. */
  readonly #leaving = new Set<Endpoint>();
  #stopLooking = (): void => {};
  #isStarted = false;
  /** Whether each name was looked up once: whoever comes after that is new. */
  #isComplete = false;
  #isClosed = false;

  constructor(name: string, settings: UpstreamSettings, parts: TargetGroupParts) {
    this.#name = name;
    this.#parts = parts;
    this.#settings = settings;
    this.balancer = this.#newBalancer();
    this.#watch();
    this.#place();
  }

  async start(): Promise<void> {
    const { clock } = this.#parts;
    this.#isStarted = true;
    this.#stopLooking = clock.every(lookEveryMs, () => this.balancer.look());
    const enough = new AbortController();
    const work = async (): Promise<void> => {
      await Promise.all([...this.#watched.values()].map(({ resolver }) => resolver?.start()));
      this.#isComplete = true;
      await Promise.all(this.balancer.members.map(({ value }) => this.#check(value)));
    };
    await Promise.race([work(), clock.sleep(this.#settings.limits.startMs, enough.signal)]);
    enough.abort();
  }

  update(settings: UpstreamSettings): void {
    const before = this.#settings;
    this.#settings = settings;
    this.balancer = this.#newBalancer(this.balancer);
    if (JSON.stringify(before.health) !== JSON.stringify(settings.health)) this.#forgetHealth();
    this.#watch();
    this.#beginPatience();
    if (connectionsOf(before) !== connectionsOf(settings)) this.#place((endpoint) => this.#replace(endpoint));
    else this.#place();
  }

  states(): readonly TargetState[] {
    const nowMs = this.#parts.clock.now();
    const states = this.balancer.members.map((member): TargetState => {
      const { value, zone, weight, state, ejectedUntilMs, inFlight, latency } = member;
      return {
        target: value.target.origin,
        address: value.shownAddress,
        zone,
        weight,
        state,
        until: ejectedUntilMs,
        inFlight,
        latencyMs: latency.isKnown ? latency.at(nowMs) : undefined,
      };
    });
    for (const { target, addresses } of this.#watched.values()) {
      if (addresses !== undefined) continue;
      const { origin, host, zone, weight } = target;
      const none = { until: undefined, inFlight: 0, latencyMs: undefined };
      states.push({ target: origin, address: host, zone, weight, state: "unhealthy", ...none });
    }
    return states;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopLooking();
    this.#cancelPatience();
    for (const { resolver } of [...this.#watched.values(), ...this.#held.values()]) resolver?.stop();
    for (const check of this.#checks.values()) check.stop();
    const endpoints = [...this.balancer.members.map(({ value }) => value), ...this.#leaving];
    await Promise.all(endpoints.map(({ pool }) => pool.close()));
  }

  /** Looks up the names of those targets that are declared now. */
  #watch(): void {
    const before = new Map([...this.#held, ...this.#watched]);
    this.#held.clear();
    this.#watched = new Map();
    for (const target of this.#settings.targets) {
      const known = before.get(target.origin);
      if (known) {
        known.target = target;
        before.delete(target.origin);
        this.#watched.set(target.origin, known);
      } else this.#watched.set(target.origin, this.#newWatched(target));
    }
    for (const [origin, watched] of before) {
      if (watched.addresses === undefined) watched.resolver?.stop();
      else this.#held.set(origin, watched);
    }
  }

  #beginPatience(): void {
    this.#cancelPatience();
    this.#isPatient = this.#held.size > 0;
    if (!this.#isPatient) return;
    this.#cancelPatience = this.#parts.clock.after(this.#settings.limits.startMs, () => {
      this.#isPatient = false;
      this.#place();
    });
  }

  /** Lets go of those that are declared no more, once others can take their place. */
  #release(): void {
    const all = [...this.#watched.values()];
    const isKnown = all.some(({ addresses }) => addresses !== undefined);
    if (!isKnown || (this.#isPatient && !all.every(({ isAsked }) => isAsked))) return;
    this.#cancelPatience();
    for (const { resolver } of this.#held.values()) resolver?.stop();
    this.#held.clear();
  }

  #newWatched(target: ParsedTarget): Watched {
    if (!target.isResolved) return { target, addresses: [undefined], isAsked: true, resolver: undefined };
    const { clock, random, resolve, log, metrics } = this.#parts;
    let isFailing = false;
    const resolver = createResolver({
      name: target.host,
      everyMs: () => this.#settings.limits.resolveMs,
      clock,
      random,
      resolve,
      onChange: (addresses) => {
        watched.addresses = addresses;
        this.#place();
      },
      onLookup: (ok, cause) => {
        metrics.countLookup(ok);
        if (!ok && !isFailing)
          log("warn", "a target's name could not be looked up", { upstream: this.#name, target: target.origin, cause });
        isFailing = !ok;
        if (watched.isAsked) return;
        watched.isAsked = true;
        if (this.#held.size > 0) this.#place();
      },
    });
    const watched: Watched = { target, addresses: undefined, isAsked: false, resolver };
    if (this.#isStarted) void resolver.start();
    return watched;
  }

  /** Gives the balancer the endpoints of now; those that stay keep their connections, unless `change` makes others. */
  #place(change: (endpoint: Endpoint) => Endpoint = (endpoint) => endpoint): void {
    if (this.#isClosed) return;
    if (this.#held.size > 0) this.#release();
    const known = new Map(this.balancer.members.map((member) => [member.name, member]));
    const members = [...this.#watched.values(), ...this.#held.values()].flatMap(({ target, addresses = [] }) =>
      addresses.map((address) => {
        const name = endpointName(target, address);
        const value = known.get(name)?.value;
        // Those that leave keep what they were made with.
        const isHeld = this.#held.has(target.origin);
        const endpoint = value ? (isHeld ? value : change(value)) : new Endpoint(target, address, this.#settings);
        return { name, weight: target.weight, zone: target.zone, value: endpoint };
      }),
    );
    const kept = new Set(members.map(({ value }) => value));
    this.balancer.update(members, !this.#isComplete);
    for (const member of this.balancer.members) if (this.#isStarted) void this.#check(member.value);
    for (const { value } of known.values()) if (!kept.has(value)) this.#retire(value);
  }

  #replace({ target, address }: Endpoint): Endpoint {
    return new Endpoint(target, address, this.#settings);
  }

  /** What is under way there ends; nothing new comes. */
  #retire(endpoint: Endpoint): void {
    this.#checks.get(endpoint)?.stop();
    this.#checks.delete(endpoint);
    this.#leaving.add(endpoint);
    void endpoint.pool.drain().then(() => this.#leaving.delete(endpoint));
  }

  /** Resolves when its health was asked for once. */
  #check(endpoint: Endpoint): Promise<void> {
    const { health } = this.#settings;
    if (!health || this.#checks.has(endpoint)) return Promise.resolve();
    const { clock, random, log } = this.#parts;
    const { pool, target, shownAddress } = endpoint;
    const check = createHealthCheck({
      pool,
      settings: health,
      isHealthy: this.#memberOf(endpoint)?.isHealthy ?? true,
      clock,
      random,
      onChange: (isHealthy, why) => {
        const member = this.#memberOf(endpoint);
        if (!member) return;
        this.balancer.setHealthy(member, isHealthy);
        const fields = { upstream: this.#name, target: target.origin, address: shownAddress, why };
        log(isHealthy ? "info" : "warn", isHealthy ? "a target is healthy" : "a target is unhealthy", fields);
      },
    });
    this.#checks.set(endpoint, check);
    return check.start();
  }

  /** Everybody is asked anew, or nobody any more. */
  #forgetHealth(): void {
    for (const check of this.#checks.values()) check.stop();
    this.#checks.clear();
    if (this.#settings.health) return;
    for (const member of this.balancer.members) this.balancer.setHealthy(member, true);
  }

  #memberOf(endpoint: Endpoint): Member<Endpoint> | undefined {
    return this.balancer.members.find(({ value }) => value === endpoint);
  }

  #newBalancer(before?: Balancer<Endpoint>): Balancer<Endpoint> {
    const { balance, outliers, slowStartMs, zone, limits } = this.#settings;
    const { clock, random, log, metrics } = this.#parts;
    const fieldsOf = ({ value }: Member<Endpoint>) => ({
      upstream: this.#name,
      target: value.target.origin,
      address: value.shownAddress,
    });
    const options = {
      balance,
      clock,
      random,
      outliers,
      inFlightMax: limits.requestsPerTarget,
      slowStartMs,
      zone,
      events: {
        onEject: (member: Member, reason: "consecutive_failures" | "failure_ratio", durationMs: number) => {
          const fields = fieldsOf(member as Member<Endpoint>);
          metrics.countEjection(fields.target, reason);
          log("warn", "a target is left out, for requests to it fail", { ...fields, reason, durationMs });
        },
        onReturn: (member: Member) => log("info", "a target gets requests again", fieldsOf(member as Member<Endpoint>)),
      },
    };
    return createBalancer(options, before);
  }
}

/** What connections are made with; when it changes, they are made anew. */
function connectionsOf({ limits, tls, egress }: UpstreamSettings): string {
  const { requestsPerTarget, connectMs, answerHeaderBytes } = limits;
  return JSON.stringify([requestsPerTarget, connectMs, answerHeaderBytes, tls, egress]);
}
