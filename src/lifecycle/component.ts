import { wrongComponents } from "./errors.ts";

/**
 * A part of the process with a life of its own: a pool, a server, a relay. All of it is optional but the name.
 *
 * `needs` names components that must be up before this one starts, and that stay up until it has stopped.
 */
export interface Component {
  readonly name: string;
  readonly needs?: readonly string[];
  /** Resolves when the component can do its work. `signal` aborts when another one failed or the process is to stop. */
  start?(signal: AbortSignal): Promise<void> | void;
  /** How long `start` may take. Default: the lifecycle's `startTimeoutMs`. */
  readonly startTimeoutMs?: number;
  /**
   * The process is about to leave: ask for no new work (schedules, relays, consumers), tell callers that this connection
   * is the last (`Connection: close`), but go on serving what comes. Must return at once.
   */
  quiesce?(): void;
  /** When new work last came, in `clock.now()` milliseconds. The quiet period waits for those that tell. */
  lastWorkAt?(): number | undefined;
  /**
   * Take nothing new and finish the rest: resolve when nothing is under way. `signal` aborts when the time for that is
   * over: then end it by force.
   */
  drain?(signal: AbortSignal): Promise<void> | void;
  /** Give back what `start` took. Called after all that need this one have stopped; also when `start` of another failed. */
  stop?(): Promise<void> | void;
  /** Whether this process can serve, as far as this component knows: true, or the reason why not. Never asks the network. */
  ready?(): true | string;
  /** What is under way, for the log of a hard stop: "3 requests". */
  open?(): readonly string[];
}

/** Checks the components, and lists them so that each comes after all it needs. */
export function inOrder(components: readonly Component[]): Component[] {
  const byName = new Map<string, Component>();
  const problems: string[] = [];
  for (const component of components) {
    if (component.name === "")
      problems.push("lifecycle: a component has no name. Give it one: logs and errors use it.");
    if (byName.has(component.name)) {
      problems.push(`lifecycle: two components are named "${component.name}". Name one of them otherwise.`);
    }
    byName.set(component.name, component);
  }
  for (const component of components) {
    for (const need of component.needs ?? []) {
      if (byName.has(need)) continue;
      const known = [...byName.keys()].join(", ");
      problems.push(
        `lifecycle: component "${component.name}" needs "${need}", which nothing provides. Add it, or take it from its needs; there are: ${known}.`,
      );
    }
  }
  if (problems.length > 0) throw wrongComponents(problems);

  const done = new Set<string>();
  const path: string[] = [];
  const ordered: Component[] = [];
  const visit = (component: Component): void => {
    if (done.has(component.name)) return;
    const from = path.indexOf(component.name);
    if (from !== -1) {
      const circle = [...path.slice(from), component.name].map((name) => `"${name}"`).join(" needs ");
      throw wrongComponents([`lifecycle: the needs go round in a circle: ${circle}. Take one of them out.`]);
    }
    path.push(component.name);
    for (const need of component.needs ?? []) visit(byName.get(need) as Component);
    path.pop();
    done.add(component.name);
    ordered.push(component);
  };
  for (const component of components) visit(component);
  return ordered;
}

/**
 * Runs `work` on each component in dependency order, those that do not depend on each other at the same time: after all
 * it needs (`up`), or after all that need it (`down`). `work` must not reject.
 */
export async function forEachInOrder(
  ordered: readonly Component[],
  direction: "up" | "down",
  work: (component: Component) => Promise<void>,
): Promise<void> {
  const running = new Map<string, Promise<void>>();
  const list = direction === "up" ? ordered : [...ordered].reverse();
  for (const component of list) {
    const before =
      direction === "up"
        ? (component.needs ?? [])
        : ordered.filter((other) => other.needs?.includes(component.name)).map((other) => other.name);
    const waits = before.map((name) => running.get(name));
    running.set(
      component.name,
      Promise.all(waits).then(() => work(component)),
    );
  }
  await Promise.all(running.values());
}
