import { availableParallelism, loadavg } from "node:os";

/** What a reader must know of where a number comes from, and nothing that names a machine. */
export interface Machine {
  readonly cores: number;
  readonly system: string;
  readonly node: string;
  readonly date: string;
  /** Programs that wanted a core in the last minute of the run, on average; two are its own. */
  readonly load?: number;
}

export function describeMachine(): Machine {
  return {
    cores: availableParallelism(),
    system: `${process.platform} ${process.arch}`,
    node: process.version.slice(1),
    date: new Date().toISOString().slice(0, 10),
    load: Number((loadavg()[0] ?? 0).toFixed(1)),
  };
}
