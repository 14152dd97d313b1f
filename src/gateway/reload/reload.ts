import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Clock } from "../../base/index.ts";
import { StartError } from "../../base/index.ts";
import type { Gauge, Logger, Metrics } from "../../telemetry/index.ts";
import type { GatewayFile } from "./gateway-file.ts";
import { gatewayFileBytesMax, parseGatewayFile } from "./gateway-file.ts";

/**
 * Keeps a running gateway at what its file says, without a restart and without losing a request.
 *
 * The file is read every second and compared by content, so that it makes no difference how it is put in place: written
 * over, renamed, or swapped by symbolic links as Kubernetes does with a ConfigMap. SIGHUP has it read at once. A new
 * content is checked whole; when anything is wrong with it, it is refused whole, once, with every problem in the log, and
 * what served before goes on. A file that is gone changes nothing either. At the start there is nothing to go on with, so
 * a wrong file stops it.
 *
 * Metrics say what serves: `plinth_gateway_config_hash` (the same number in processes with the same file),
 * `plinth_gateway_config_last_reload_successful` and `..._success_timestamp_seconds`.
 */
export interface Reload {
  /** Takes the file. Throws StartError GATEWAY_FILE_WRONG. */
  start(): Promise<void>;
  /** Looks at once. Resolves when it has been taken, refused, or found to be the same. */
  look(): Promise<void>;
  stop(): void;
  /** What serves: a short hash of its content. */
  readonly revision: string | undefined;
}

export interface ReloadOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics | undefined;
  /** Checks the whole file, then takes it, or gives the problems and takes nothing. */
  readonly apply: (file: GatewayFile) => readonly string[];
  /** Default 1 s. */
  readonly everyMs?: number;
  /** For tests. Default: from disk. */
  readonly read?: (path: string) => Promise<Buffer>;
}

export function createReload(options: ReloadOptions): Reload {
  const { path, clock, log, apply, everyMs = 1000, read = readFile } = options;
  const signals = createSignals(options.metrics, clock);
  let seen: string | undefined;
  let revision: string | undefined;
  let looking: Promise<void> | undefined;
  let stopTimer = () => {};

  const take = (content: Buffer): readonly string[] => {
    if (content.byteLength > gatewayFileBytesMax) return [`it is larger than ${gatewayFileBytesMax} bytes`];
    const { file, problems } = parseGatewayFile(content.toString("utf8"));
    const found = file ? apply(file) : problems;
    if (found.length > 0 || !file) return found;
    revision = seen;
    signals.taken(seen ?? "");
    log.info({ file: path, revision: seen, name: file.revision }, "the gateway's file was taken");
    return [];
  };
  const lookOnce = async (): Promise<void> => {
    let content: Buffer;
    try {
      content = await read(path);
    } catch (cause) {
      if (seen !== "") {
        seen = "";
        signals.refused();
        log.error(
          { err: cause, file: path, revision },
          "the gateway's file cannot be read; what served before goes on",
        );
      }
      return;
    }
    const now = hash("sha256", content, "hex").slice(0, 12);
    if (now === seen) return;
    seen = now;
    // What served before is back: nothing to take.
    if (now === revision) {
      signals.taken(now);
      log.info({ file: path, revision }, "the gateway's file is again what serves");
      return;
    }
    const problems = take(content);
    if (problems.length === 0) return;
    signals.refused();
    log.error(
      { file: path, refused: now, revision, problems },
      "the gateway's file was refused; what served before goes on",
    );
  };
  const look = (): Promise<void> => {
    looking ??= lookOnce().finally(() => {
      looking = undefined;
    });
    return looking;
  };
  const onHangup = (): void => void look();

  return {
    look,
    get revision() {
      return revision;
    },
    async start() {
      let content: Buffer;
      try {
        content = await read(path);
      } catch (cause) {
        throw fileWrong(path, [`it cannot be read: ${(cause as Error).message}`]);
      }
      seen = hash("sha256", content, "hex").slice(0, 12);
      const problems = take(content);
      if (problems.length > 0) throw fileWrong(path, problems);
      stopTimer = clock.every(everyMs, () => void look());
      process.on("SIGHUP", onHangup);
    },
    stop() {
      stopTimer();
      process.off("SIGHUP", onHangup);
    },
  };
}

/** GATEWAY_FILE_WRONG: at the start there is no older one that could go on. */
export function fileWrong(path: string, problems: readonly string[]): StartError {
  return new StartError(
    "GATEWAY_FILE_WRONG",
    problems.map((problem) => `PLINTH_GATEWAY_FILE: ${path}: ${problem}.`),
  );
}

function createSignals(metrics: Metrics | undefined, clock: Clock) {
  const gauge = (name: string, help: string): Gauge | undefined => metrics?.gauge(name, help).with();
  const hashOf = gauge("plinth_gateway_config_hash", "What serves: a number made of the file's content.");
  const good = gauge("plinth_gateway_config_last_reload_successful", "Whether the last content seen was taken.");
  const at = gauge("plinth_gateway_config_last_reload_success_timestamp_seconds", "When a file was last taken.");
  return {
    taken(revision: string): void {
      hashOf?.set(Number.parseInt(revision, 16));
      good?.set(1);
      at?.set(clock.wallNow() / 1000);
    },
    refused: (): void => good?.set(0),
  };
}
