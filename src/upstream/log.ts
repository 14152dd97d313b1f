/** Where an upstream says what happened to its targets. */
export type UpstreamLog = (level: "info" | "warn", message: string, fields: Readonly<Record<string, unknown>>) => void;
