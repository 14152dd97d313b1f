import type { Logger } from "../telemetry/index.ts";

/** What this room needs of a logger. */
export type LifecycleLog = Pick<Logger, "info" | "warn" | "error" | "fatal" | "flush">;
