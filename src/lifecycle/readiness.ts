import type { Part } from "./part.ts";

export type LifecycleState = "created" | "starting" | "ready" | "draining" | "stopped";

/** Whether traffic should come here, and if not, why. */
export interface Readiness {
  readonly ready: boolean;
  readonly state: LifecycleState;
  /** One line for each component that is in the way: "db: the pool is empty". */
  readonly reasons: readonly string[];
}

/** Ready means: all components are up, and each says that this process can serve. A `ready` that throws says no. */
export function readinessOf(state: LifecycleState, parts: readonly Part[]): Readiness {
  if (state !== "ready") {
    const waiting = parts.filter((part) => part.state !== "up").map((part) => `${part.name}: ${part.state}`);
    return { ready: false, state, reasons: state === "starting" ? waiting : [`the process is ${state}`] };
  }
  const reasons: string[] = [];
  for (const { component } of parts) {
    const answer = ask(component);
    if (answer !== true) reasons.push(`${component.name}: ${answer}`);
  }
  return { ready: reasons.length === 0, state, reasons };
}

function ask(component: { ready?(): true | string }): true | string {
  try {
    return component.ready?.() ?? true;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
