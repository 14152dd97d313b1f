import type { Component } from "./component.ts";

export interface ComponentStatus {
  readonly name: string;
  readonly state: "waiting" | "starting" | "up" | "failed" | "draining" | "drained" | "stopping" | "stopped";
  /** The last error of its start, drain or stop. */
  readonly error: unknown;
}

/** A component and where it is in its life. */
export class Part implements ComponentStatus {
  readonly component: Component;
  state: ComponentStatus["state"] = "waiting";
  error: unknown = undefined;
  /** How long its start took. */
  startMs = 0;

  constructor(component: Component) {
    this.component = component;
  }

  get name(): string {
    return this.component.name;
  }
}
