/** Where this room says what went wrong without anybody waiting for the answer. The platform's Logger is one. */
export interface EventLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** For tests and tools, which look at the counts in `stats()` instead. */
export const silentLog: EventLog = { warn() {}, error() {} };
