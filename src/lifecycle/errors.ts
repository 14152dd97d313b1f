import { PlinthError, StartError } from "../base/index.ts";

/** COMPONENTS_WRONG: names that come twice, needs that nothing provides, needs that go round in a circle. */
export function wrongComponents(problems: readonly string[]): StartError {
  return new StartError("COMPONENTS_WRONG", problems);
}

/** LIFECYCLE_OPTION_WRONG: a limit that is no limit. */
export function wrongOption(name: string, value: unknown, remedy: string): StartError {
  return new StartError("LIFECYCLE_OPTION_WRONG", `lifecycle: ${name} is ${String(value)}. ${remedy}`);
}

/** COMPONENT_START_FAILED: the world is not ready for this component. The cause says why; starting again may help. */
export function startFailed(component: string, cause: unknown): PlinthError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new PlinthError("unavailable", `Component "${component}" did not start: ${why}`, {
    reason: "COMPONENT_START_FAILED",
    executed: "no",
    cause,
  });
}

/** COMPONENT_START_TIMEOUT: a component took longer than it may. Look at what it waits for, or raise its limit. */
export function startTimedOut(component: string, limitMs: number): PlinthError {
  return new PlinthError("unavailable", `Component "${component}" did not start within ${limitMs} ms.`, {
    reason: "COMPONENT_START_TIMEOUT",
    executed: "no",
  });
}

/** START_INTERRUPTED: somebody asked the process to stop before it was ready. */
export function startInterrupted(): PlinthError {
  return new PlinthError("cancelled", "The start was interrupted.", { reason: "START_INTERRUPTED", executed: "no" });
}

/** DRAIN_TIME_OVER: what calls end with that are still under way when the time to finish is over. Another instance can serve. */
export function shuttingDown(): PlinthError {
  return new PlinthError("unavailable", "This process is shutting down.", { reason: "DRAIN_TIME_OVER", retry: "safe" });
}

/** MANAGEMENT_PATH_WRONG: a page of the management server that cannot be reached. */
export function wrongPath(path: string, why: string): StartError {
  return new StartError("MANAGEMENT_PATH_WRONG", `management: handler ${JSON.stringify(path)}: ${why}`);
}
