import type { Clock, Random } from "../base/index.ts";
import { createLeastRequest } from "./least-request.ts";
import type { MemberOptions } from "./member.ts";
import { Member } from "./member.ts";
import type { EjectionReason, OutlierRules } from "./outliers.ts";
import { countOutcome, eject, findOutliers, forgetCounts, mayEject, takeBack } from "./outliers.ts";
import { createP2c } from "./p2c.ts";
import type { Picker } from "./picker.ts";
import { createRendezvous } from "./rendezvous.ts";
import { createRoundRobin } from "./round-robin.ts";
import { createWeighted } from "./weighted.ts";
import { preferZone } from "./zone.ts";

/**
 * Several that do the same, and who of them takes the next request.
 *
 * Promises: picks only among those that are healthy and not ejected, of the own zone first; what was tried already and what
 * is full is left out. There is always somebody while there is anybody: when too few are left, ejections are ignored, and when
 * nobody is healthy, health is. Members that are new or came back begin with a tenth of their share. Nobody is left out for
 * ever: a slow member's latency is forgotten, an ejection ends.
 *
 * Pure: no sockets and no timers. The caller says what became of each request (`observe`), what health checks found
 * (`setHealthy`), and that time passes (`look`, about each second).
 *
 * Limits: made for up to about a thousand members; a pick costs a pass over them, less where weights do not matter.
 */
export interface Balancer<T> {
  readonly members: readonly Member<T>[];
  /** Whether ejections or health are ignored, because too few would be left. */
  readonly isPanicking: boolean;
  /**
   * Others from now on. Those that stay, by name, keep what is known of them. Gives back those that left. `atOnce`: those
   * that are new get their full share, because all of them are.
   */
  update(members: readonly MemberOptions<T>[], atOnce?: boolean): readonly Member<T>[];
  /** Undefined when everybody was tried or is full. */
  pick(request?: PickRequest<T>): Member<T> | undefined;
  /** A request goes to it, until `end`. */
  begin(member: Member<T>): void;
  end(member: Member<T>): void;
  /**
   * What became of a request, as soon as that is known; without a latency where that says nothing of the member.
   * `unfinished`: nobody waited for the answer any longer, which took so long at least.
   */
  observe(member: Member<T>, outcome: "success" | "failure" | "unfinished", latencyMs?: number): void;
  setHealthy(member: Member<T>, isHealthy: boolean): void;
  /** Ends ejections that are over, and from time to time looks for members that fail more than others. */
  look(): void;
}

export interface PickRequest<T> {
  /** For `hash`. */
  readonly key?: string | undefined;
  /** Tried already. */
  readonly avoid?: readonly Member<T>[] | undefined;
}

export type Balance = "p2c" | "round-robin" | "weighted" | "least-request" | "hash";

export interface BalancerOptions {
  readonly balance: Balance;
  readonly clock: Clock;
  readonly random: Random;
  /** Undefined: nobody is ejected. */
  readonly outliers?: OutlierRules | undefined;
  /** Requests under way with one member; above, it is full. */
  readonly inFlightMax: number;
  readonly slowStartMs: number;
  /** Where the caller is. */
  readonly zone?: string | undefined;
  readonly events?: BalancerEvents | undefined;
}

export interface BalancerEvents {
  onEject?(member: Member, reason: EjectionReason, durationMs: number): void;
  onReturn?(member: Member): void;
}

/** With other options for the same members: give the old balancer, and what is known of them is kept. */
export function createBalancer<T>(options: BalancerOptions, before?: Balancer<T>): Balancer<T> {
  return new Group(options, before?.members ?? []);
}

function createPicker(balance: Balance, random: Random): Picker {
  if (balance === "round-robin") return createRoundRobin(random);
  if (balance === "weighted") return createWeighted();
  if (balance === "least-request") return createLeastRequest(random);
  return balance === "hash" ? createRendezvous(random) : createP2c(random);
}

class Group<T> implements Balancer<T> {
  members: readonly Member<T>[];
  isPanicking = false;
  readonly #options: BalancerOptions;
  readonly #clock: Clock;
  readonly #picker: Picker;
  #candidates: readonly Member<T>[] = [];
  #lookedAtMs: number;

  constructor(options: BalancerOptions, members: readonly Member<T>[]) {
    this.members = members;
    this.#options = options;
    this.#clock = options.clock;
    this.#picker = createPicker(options.balance, options.random);
    this.#lookedAtMs = options.clock.now();
    // Nobody else would take them back.
    if (!options.outliers) for (const each of members) each.ejectedUntilMs = undefined;
    this.#choose();
  }

  update(given: readonly MemberOptions<T>[], atOnce = this.members.length === 0): readonly Member<T>[] {
    const known = new Map(this.members.map((member) => [member.name, member]));
    const nowMs = this.#clock.now();
    this.members = given.map((each) => {
      const member = known.get(each.name);
      if (member && member.zone === each.zone) {
        known.delete(each.name);
        member.weight = each.weight ?? 1;
        member.value = each.value;
        return member;
      }
      const added = new Member(each);
      if (!atOnce) added.startSlowly(nowMs, this.#options.slowStartMs);
      return added;
    });
    this.#choose();
    return [...known.values()];
  }

  pick(request?: PickRequest<T>): Member<T> | undefined {
    const all = this.#candidates;
    if (all.length === 0) return undefined;
    const nowMs = this.#clock.now();
    const avoid = request?.avoid;
    const max = this.#options.inFlightMax;
    if (avoid === undefined || avoid.length === 0) {
      const picked = this.#picker(all, nowMs, request?.key);
      if (picked.inFlight < max) return picked;
    }
    const isFree = (each: Member<T>): boolean => each.inFlight < max && !avoid?.includes(each);
    let left = all.filter(isFree);
    // Another zone is better than none.
    if (left.length === 0) left = this.members.filter((each) => each.state === "available" && isFree(each));
    return left.length === 0 ? undefined : this.#picker(left, nowMs, request?.key);
  }

  begin(member: Member<T>): void {
    member.inFlight++;
  }

  end(member: Member<T>): void {
    member.inFlight--;
  }

  observe(member: Member<T>, outcome: "success" | "failure" | "unfinished", latencyMs?: number): void {
    const nowMs = this.#clock.now();
    // How fast a failure came says nothing; how long it took does.
    if (latencyMs !== undefined && (outcome === "success" || latencyMs > member.latency.at(nowMs)))
      member.latency.observe(latencyMs, nowMs);
    if (outcome === "unfinished") return;
    const isFailure = outcome === "failure";
    if (isFailure) member.noteFailure(nowMs);
    else member.noteSuccess();
    const { outliers } = this.#options;
    if (!outliers || member.ejectedUntilMs !== undefined) return;
    if (countOutcome(member, isFailure, outliers)) this.#eject(member, "consecutive_failures", outliers);
  }

  setHealthy(member: Member<T>, isHealthy: boolean): void {
    if (member.isHealthy === isHealthy) return;
    member.isHealthy = isHealthy;
    if (isHealthy) member.startSlowly(this.#clock.now(), this.#options.slowStartMs);
    this.#choose();
  }

  look(): void {
    const { outliers } = this.#options;
    if (!outliers) return;
    const nowMs = this.#clock.now();
    for (const member of this.members) {
      if (member.ejectedUntilMs === undefined || member.ejectedUntilMs > nowMs) continue;
      takeBack(member, outliers);
      member.startSlowly(nowMs, this.#options.slowStartMs);
      this.#choose();
      this.#options.events?.onReturn?.(member);
    }
    if (nowMs - this.#lookedAtMs < outliers.intervalMs) return;
    this.#lookedAtMs = nowMs;
    for (const member of findOutliers(this.members, outliers)) this.#eject(member, "failure_ratio", outliers);
    forgetCounts(this.members);
  }

  #eject(member: Member<T>, reason: EjectionReason, outliers: OutlierRules): void {
    if (!this.members.includes(member) || !mayEject(this.members, outliers)) return;
    const durationMs = eject(member, this.#clock.now(), outliers);
    this.#choose();
    this.#options.events?.onEject?.(member, reason, durationMs);
  }

  /** Anew whenever somebody came, went, fell ill or recovered: what is left for a request is the pick. */
  #choose(): void {
    const all = this.members;
    const healthy = all.filter((each) => each.isHealthy);
    const available = healthy.filter((each) => each.ejectedUntilMs === undefined);
    const isEnough = available.length > 0 && available.length >= (this.#options.outliers?.panic ?? 0) * all.length;
    const usable = isEnough ? available : healthy.length > 0 ? healthy : all;
    this.isPanicking = usable !== available && usable.length > available.length;
    this.#candidates = preferZone(usable, all, this.#options.zone);
  }
}
