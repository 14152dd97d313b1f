/**
 * The life of a process: components start in the order of what they need, leave without failing a request, and answer
 * the probes of whoever runs them. Exit codes: 0 stopped as asked, 1 failed or ended by force, 2 wrong definition.
 */
export type { Component } from "./component.ts";
export type { ExitCode } from "./exit-code.ts";
export { exitCodeOf, exitCodes } from "./exit-code.ts";
export type { Lifecycle, LifecycleOptions, StopOptions } from "./lifecycle.ts";
export { createLifecycle } from "./lifecycle.ts";
export type { ListenOptions } from "./listen.ts";
export { listen } from "./listen.ts";
export type { LifecycleLog } from "./log.ts";
export type {
  ManagementAnswer,
  ManagementHandler,
  ManagementRequest,
  ManagementServer,
  ManagementServerOptions,
} from "./management-server.ts";
export { createManagementServer } from "./management-server.ts";
export type { ComponentStatus } from "./part.ts";
export type { LifecycleState, Readiness } from "./readiness.ts";
export type { SignalSource } from "./signals.ts";
