import { availableParallelism } from "node:os";

/** What a reader must know of where a number comes from, and nothing that names a machine. */
export interface Machine {
  readonly cores: number;
  readonly system: string;
  readonly node: string;
  readonly date: string;
}

export function describeMachine(): Machine {
  return {
    cores: availableParallelism(),
    system: `${process.platform} ${process.arch}`,
    node: process.version.slice(1),
    date: new Date().toISOString().slice(0, 10),
  };
}
