/** Where a room that has no logger says what happened. */
export type RpcLog = (level: "info" | "warn", message: string, fields: Readonly<Record<string, unknown>>) => void;
