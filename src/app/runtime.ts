import type { Clock, Random } from "../base/index.ts";
import { CallScope, createDeadlines, StartError, servicePrincipal, systemClock, systemRandom } from "../base/index.ts";
import type { Environment } from "../config/index.ts";
import type { Gateway, Page } from "../gateway/index.ts";
import type { ExitCode } from "../lifecycle/index.ts";
import type { AnyContract, Client } from "../service/index.ts";
import type { Logger, Metrics, TextDestination, Tracer } from "../telemetry/index.ts";
import type { App } from "./app.ts";
import { assemble } from "./assembly.ts";
import type { Background } from "./background.ts";
import { checkApp } from "./check.ts";
import type { Ports } from "./components.ts";
import type { Model } from "./model.ts";
import { modelOf } from "./model.ts";
import { withKnownPort } from "./provider.ts";
import type { Settings } from "./settings.ts";
import { readProcessSettings } from "./settings.ts";

/**
 * One process of an app: the services of a group, or all of them, started in the order of what they need and stopped in
 * the reverse order.
 *
 * `createRuntime` reads the settings, checks the app and puts the process together without opening anything (see
 * `assembly.ts`); `start` opens, in order, and resolves when the process can serve; `stop` takes leave without failing a
 * request. Everything wrong with the app or its settings is one StartError that tells all of it.
 */
export interface Runtime {
  start(): Promise<Addresses>;
  /** Takes leave without failing a request, and ends. May be called at any time, and twice. Answers the exit code. */
  stop(): Promise<ExitCode>;
  /** From now on SIGTERM and SIGINT stop this process, and an uncaught error ends it. For whoever owns the process. */
  ownProcess(): void;
  readonly model: Model;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  /** The gateway as a `node:http` handler, for an Express or Fastify app to mount. Undefined where no gateway lives here. */
  readonly handler: Gateway["handler"] | undefined;
  readonly background: Background;
  /** A client that calls as the app itself, wherever the service lives. For tests, scripts and tools. */
  client<C extends AnyContract>(contract: C): Client<C>;
}

/** Where a process listens; absent what it does not serve. */
export interface Addresses {
  /** `http://127.0.0.1:8080`, or https where it speaks TLS. */
  readonly gateway?: string;
  /** `127.0.0.1:7000` */
  readonly rpc?: string;
  /** `http://127.0.0.1:9090` */
  readonly management?: string;
}

export interface RuntimeOptions {
  /** The group that lives in this process. Default: every service. */
  readonly group?: string | undefined;
  /** Where settings come from. Default: the process's own environment. */
  readonly environment?: Environment;
  /** Settings that hold whatever the environment says. */
  readonly settings?: Partial<Settings>;
  /** Documents that the gateway serves, unless the app says `docs: false`. */
  readonly pages?: (model: Model) => readonly Page[];
  /** False: nothing listens for HTTP; the gateway is there as `handler` only. Default true. */
  readonly listen?: boolean;
  /** False: no management server. Default true. */
  readonly management?: boolean;
  /** Fakes that stand in for needs, by service and field. */
  readonly doubles?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** False leaves the inbox out, for the tests that show what it is for. */
  readonly inbox?: boolean;
  /** False: nothing is limited, whatever the app declares. For tools that ask every method over and over. Default true. */
  readonly limits?: boolean;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Where log lines go. Default: standard output. */
  readonly destination?: TextDestination;
}

export async function createRuntime(definition: App, options: RuntimeOptions = {}): Promise<Runtime> {
  const environment = options.environment ?? process.env;
  const secrets: string[] = [];
  const read = readProcessSettings(environment, { onSecret: (value) => void secrets.push(value) });
  const settings = await withKnownPort(definition, { ...read, ...options.settings }, options.listen ?? true);
  const clock = options.clock ?? systemClock;
  const checked = checkApp(definition);
  const model = modelOf(checked);
  const parts = await assemble(checked, {
    group: options.group,
    environment,
    settings,
    secrets,
    clock,
    random: options.random ?? systemRandom,
    pages: definition.gateway.docs === false ? [] : (options.pages?.(model) ?? []),
    listen: options.listen ?? true,
    doubles: options.doubles ?? {},
    inbox: options.inbox ?? true,
    limits: options.limits ?? true,
    destination: options.destination,
  });
  const { lifecycle, management, signals, wiring, ports } = parts;
  const managed = options.management ?? true;
  let stopping: Promise<ExitCode> | undefined;

  return {
    model,
    log: signals.log,
    metrics: signals.metrics,
    tracer: signals.tracer,
    handler: parts.gateway?.handler,
    background: parts.background,
    async start() {
      // Probes get answers from the first moment to the last.
      if (managed) ports.management = (await management.start()).port;
      try {
        await lifecycle.start();
      } catch (thrown) {
        await management.stop();
        throw thrown;
      }
      return toAddresses(settings, ports, parts.gateway?.protocol);
    },
    stop() {
      stopping ??= lifecycle.stop().finally(() => management.stop());
      return stopping;
    },
    ownProcess: () => void lifecycle.handleSignals(),
    client<C extends AnyContract>(contract: C): Client<C> {
      if (!definition.services.some((service) => service.contract.name === contract.name)) {
        throw new StartError(
          "CONTRACT_UNKNOWN",
          `client(${contract.name}): nothing in "${definition.name}" provides it.`,
        );
      }
      const scope = new CallScope({
        principal: servicePrincipal(definition.name),
        // Each call has the time that its method or its options give it.
        deadline: Number.POSITIVE_INFINITY,
        caller: definition.name,
        deadlines: createDeadlines(clock),
      });
      return wiring.client(contract, definition.name)(scope) as Client<C>;
    },
  };
}

function toAddresses(settings: Settings, { gateway, rpc, management }: Ports, protocol = "http"): Addresses {
  return {
    ...(gateway !== undefined && { gateway: `${protocol}://${toReachable(settings.host)}:${gateway}` }),
    ...(rpc !== undefined && { rpc: `${toReachable(settings.rpcHost)}:${rpc}` }),
    ...(management !== undefined && { management: `http://${toReachable(settings.managementHost)}:${management}` }),
  };
}

/** A host that can be called: every address listens on this one too. */
function toReachable(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
