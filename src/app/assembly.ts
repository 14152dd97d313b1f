import { pid } from "node:process";
import type { Clock, Random, Trace } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import type { Environment } from "../config/index.ts";
import type { Broker, Scheduler } from "../events/index.ts";
import { crashPointsFromEnvironment, createDatabaseBroker } from "../events/index.ts";
import type { Gateway, Page } from "../gateway/index.ts";
import type { Component, Lifecycle, ManagementServer } from "../lifecycle/index.ts";
import { createLifecycle, createManagementServer } from "../lifecycle/index.ts";
import type { Overload } from "../resilience/index.ts";
import type { RpcServer, RpcTls } from "../rpc/index.ts";
import { createRpcServer } from "../rpc/index.ts";
import type { ExternalService, Need, Publish, ServiceDefinition } from "../service/index.ts";
import type { TextDestination } from "../telemetry/index.ts";
import type { App } from "./app.ts";
import { membersOf } from "./app.ts";
import type { Background } from "./background.ts";
import { createBackground } from "./background.ts";
import type { CheckedApp } from "./check.ts";
import type { Ports } from "./components.ts";
import {
  eventComponents,
  gatewayComponent,
  migrationComponent,
  peersComponent,
  rpcComponent,
  storeComponents,
  telemetryComponent,
} from "./components.ts";
import { budgetComponent } from "./connection-budget.ts";
import { databaseNeedsOf } from "./database-needs.ts";
import type { Databases } from "./databases.ts";
import type { Eventing } from "./eventing.ts";
import { createEventing } from "./eventing.ts";
import { createProcessEdge } from "./gateway-edge.ts";
import { keepsOutside } from "./gateway-outside.ts";
import { createKeeper, keySweepComponent } from "./idempotency.ts";
import type { ProcessTrust } from "./identity.ts";
import { createProcessTrust, identityComponent, identityStoresOf } from "./identity.ts";
import { measureProcess } from "./measures.ts";
import { createNeeds, requireSecrets, resolveHeaders } from "./needs.ts";
import { createProcessOverload } from "./overload.ts";
import type { Peers } from "./peers.ts";
import { createPeers } from "./peers.ts";
import { createSchedulers, scheduleComponent } from "./scheduling.ts";
import type { Settings } from "./settings.ts";
import type { Signals } from "./signals.ts";
import { createSignals } from "./signals.ts";
import type { Stores, StoresOptions } from "./stores.ts";
import { createStores } from "./stores.ts";
import { publishes, subscribes } from "./subscriptions.ts";
import { createStatementWatch, moverComponent, partitionComponent } from "./upkeep.ts";
import type { Wiring } from "./wiring.ts";
import { wire } from "./wiring.ts";

/**
 * Puts a process together from its parts and says in which order they start. Nothing is opened here: every part is
 * handed what it stands on, and the lifecycle does the rest.
 *
 *     telemetry ─ stores ─ migrations ─ events ─ rpc ─ gateway
 */
export interface AssemblyOptions {
  readonly group: string | undefined;
  readonly environment: Environment;
  readonly settings: Settings;
  /** Values that no log line may hold. */
  readonly secrets: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly pages: readonly Page[];
  readonly listen: boolean;
  readonly doubles: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly inbox: boolean;
  readonly limits: boolean;
  readonly destination: TextDestination | undefined;
}

export interface Assembly {
  readonly lifecycle: Lifecycle;
  readonly management: ManagementServer;
  readonly signals: Signals;
  readonly wiring: Wiring;
  readonly gateway: Gateway | undefined;
  readonly ports: Ports;
  readonly background: Background;
}

export async function assemble(checked: CheckedApp, options: AssemblyOptions): Promise<Assembly> {
  const { app: definition } = checked;
  const { settings, clock, group, environment } = options;
  const members = membersOf(definition, group);
  const name = group === undefined ? definition.name : `${definition.name}/${group}`;
  const services = definition.services.filter(
    (service): service is ServiceDefinition => service.kind === "service" && members.has(service.contract.name),
  );
  const externals = definition.services.filter((service): service is ExternalService => service.kind === "external");
  requireSecrets([...services, ...externals.filter((each) => isCalled(each, services, members))], environment);
  const signals = createSignals({ ...options, name });
  let databases: Databases | undefined;
  let gateway: Gateway | undefined;
  const stores = await createProcessStores(services, options, {
    name,
    checked,
    members,
    log: signals.log,
    onPurge: keepsOutside(definition) ? (tags) => gateway?.outside.purge(tags) : undefined,
    onInvalidateIn: async (...invalidation) => events?.eventing.invalidateIn(...invalidation),
    onQuery: createStatementWatch({ settings, clock, log: signals.log, databases: () => databases }),
  });
  databases = stores;
  const overload = createProcessOverload(definition.gateway, { ...options, ...signals });
  const placed = { ...options, definition, checked, members, name, services, signals, stores, overload };
  const trust = await createProcessTrust({ ...placed, log: signals.log });
  const process: ProcessParts = { ...placed, trust };
  const events = createEvents(process);
  const peers = createProcessPeers(process);
  const wiring = createWiring(process, events?.eventing, peers);
  const { metrics } = signals;
  const edge = members.has("gateway") ? await createProcessEdge(process, wiring.routes()) : undefined;
  gateway = edge?.gateway;
  // A group of its own is called by the others; a process that holds everything is called by nobody.
  const rpc = group !== undefined && services.length > 0 ? createRpc(process, wiring) : undefined;
  const schedulers = createProcessSchedulers(process, wiring);
  measureProcess(metrics, { stores, peers, rpc, schedulers });
  const ports: Ports = {};
  const kept = stores.database ? databaseComponents(process, events?.broker) : [];
  const after = kept.map((component) => component.name);
  const still = [
    telemetryComponent(signals, overload),
    ...storeComponents(stores),
    ...kept,
    peersComponent(peers),
    ...[identityComponent(trust, { stores, settings, needs: after })].filter((each) => each !== undefined),
    ...(edge ? edge.componentsOf({ after, listen: options.listen }) : []),
  ];
  const inner = [...still, ...seekersOf(process, { events, wiring, schedulers, after: still.map(({ name }) => name) })];
  const needs = inner.map((component) => component.name);
  const components = [
    ...inner,
    ...(rpc ? [rpcComponent(rpc, needs, ports)] : []),
    ...(gateway ? [gatewayComponent(gateway, { needs, ports, listen: options.listen })] : []),
  ];
  // The quiet period is the gateway's own: it alone knows when new work stopped coming.
  const lifecycle = createLifecycle({
    components,
    clock,
    log: signals.log,
    graceMs: settings.graceMs,
    drainDelayMs: 0,
  });
  const management = createManagement(process, lifecycle);
  const background = createBackground({ broker: events?.broker, relays: events?.eventing.relays, schedulers });
  return { lifecycle, management, signals, wiring, gateway, ports, background };
}

interface SeekerParts {
  readonly events: { readonly broker: Broker; readonly eventing: Eventing } | undefined;
  readonly wiring: Wiring;
  readonly schedulers: ReadonlyMap<string, Scheduler>;
  readonly after: readonly string[];
}

/** What looks for work by itself. It begins last, since it would keep the others from starting. */
function seekersOf(
  { definition, services, stores, signals: { metrics } }: ProcessParts,
  { events, wiring, schedulers, after }: SeekerParts,
): readonly Component[] {
  const own = services.filter(hasEvents);
  return [
    ...(events ? eventComponents({ definition, services: own, ...events, wiring, stores, metrics, after }) : []),
    ...(schedulers.size > 0 ? [scheduleComponent(schedulers, after)] : []),
  ];
}

/** Probes and metrics, on a port of their own. */
function createManagement({ settings, signals, clock }: ProcessParts, lifecycle: Lifecycle): ManagementServer {
  return createManagementServer({
    host: settings.managementHost,
    port: settings.managementPort,
    portSetting: "PLINTH_MANAGEMENT_PORT",
    lifecycle,
    render: (accept) => signals.metrics.render(accept),
    log: signals.log,
    clock,
  });
}

/** What is known of the process once its parts are chosen. */
interface ProcessParts extends AssemblyOptions {
  readonly definition: App;
  readonly checked: CheckedApp;
  readonly members: ReadonlySet<string>;
  readonly name: string;
  readonly services: readonly ServiceDefinition[];
  readonly signals: Signals;
  readonly stores: Stores;
  readonly trust: ProcessTrust;
  readonly overload: Overload | undefined;
}

function createProcessStores(
  services: readonly ServiceDefinition[],
  { settings, clock, random }: AssemblyOptions,
  parts: Pick<StoresOptions, "log" | "onInvalidateIn" | "onPurge" | "onQuery"> & {
    readonly name: string;
    readonly checked: CheckedApp;
    readonly members: ReadonlySet<string>;
  },
): Promise<Stores> {
  const { name, checked, members, ...rest } = parts;
  const { database, shards } = databaseNeedsOf({ checked, members, settings });
  const keepers = keepersOf(checked);
  return createStores({
    settings,
    needsDatabase: database,
    needsShards: shards,
    needsCache:
      identityStoresOf({ checked, services, members, settings }).cache ||
      services.some((service) => hasNeed(service, "cache") || keepers.has(service.contract.name)),
    applicationName: name,
    clock,
    random,
    ...rest,
  });
}

function createProcessPeers({
  definition,
  checked,
  name,
  settings,
  environment,
  signals,
  ...parts
}: ProcessParts): Peers {
  return createPeers({
    checked,
    name,
    addressesOf: (other) => settings.addresses?.get(other) ?? [`${definition.name}-${other}:7000`],
    secret: () => requireRpcSecret(settings, name),
    tls: rpcTls(settings),
    clock: parts.clock,
    random: parts.random,
    log: signals.log,
    check: settings.mode !== "production",
    headersOf: (service) => resolveHeaders(service, environment, signals.log),
  });
}

function createEvents(parts: ProcessParts): { readonly broker: Broker; readonly eventing: Eventing } | undefined {
  const { stores, clock, random } = parts;
  if (!parts.services.some(hasEvents)) return undefined;
  const { log } = parts.signals;
  const crashPoint = crashPointsFromEnvironment(parts.environment);
  const { databaseOf, shardsOf, cacheOf } = stores;
  const database = databaseOf("plinth_broker");
  const migrates = parts.settings.migrateAtStart;
  const retention = parts.settings.eventRetentionMs;
  const broker = createDatabaseBroker({ database, migrates, retention, clock, random, log, crashPoint });
  return {
    broker,
    eventing: createEventing({
      broker,
      clock,
      random,
      log,
      crashPoint,
      inbox: parts.inbox,
      databaseOf,
      shardsOf,
      cacheOf,
    }),
  };
}

/** What stands between an open database and its users. */
function databaseComponents(parts: ProcessParts, broker: Broker | undefined): readonly Component[] {
  const { group, settings, stores, services, clock, random } = parts;
  const { log } = parts.signals;
  const kept = { services, databases: stores, clock, random, log };
  const keys = keySweepComponent({ ...kept, operations: parts.checked.operations });
  const upkeep = [partitionComponent(kept), moverComponent(kept), keys].filter((each) => each !== undefined);
  return [
    budgetComponent({ checked: parts.checked, group, settings, databases: stores, log }),
    migrationComponent(services, stores, settings, broker),
    ...upkeep,
  ];
}

function createProcessSchedulers(parts: ProcessParts, { units }: Wiring): ReadonlyMap<string, Scheduler> {
  const { services, name, clock, random, stores, environment } = parts;
  return createSchedulers({
    services,
    units,
    owner: `${name}, process ${pid}`,
    clock,
    random,
    log: parts.signals.log,
    crashPoint: crashPointsFromEnvironment(environment),
    databaseOf: stores.databaseOf,
  });
}

function createWiring(parts: ProcessParts, eventing: Eventing | undefined, peers: Peers): Wiring {
  const { checked, members, settings, clock, random, signals, stores, trust, environment, doubles } = parts;
  const keepers = keepersOf(checked);
  return wire({
    checked,
    members,
    check: settings.mode !== "production",
    clock,
    random,
    log: signals.log,
    tracer: signals.tracer,
    metrics: signals.metrics,
    doubles,
    resolve: createNeeds({ stores, tokens: trust.tokens, environment, log: signals.log }),
    publisher: (service) => eventing?.publisherOf(service) ?? refusePublish,
    responsesOf: (service) => (keepers.has(service) ? stores.cacheOf(service) : undefined),
    keeperOf: (service) => createKeeper(service, stores, crashPointsFromEnvironment(environment)),
    remoteLink: peers.linkTo,
  });
}

function createRpc(parts: ProcessParts, wiring: Wiring): RpcServer {
  const { settings, signals, clock, random, name } = parts;
  return createRpcServer({
    name,
    host: settings.rpcHost,
    port: settings.rpcPort,
    secret: requireRpcSecret(settings, name),
    tls: rpcTls(settings),
    methods: wiring.rpcMethods(),
    overload: parts.overload,
    clock,
    random,
    startTrace: (_method, sent, tracestate) =>
      new ReceivedTrace(
        typeof sent === "object" ? signals.tracer.receive(sent, tracestate) : signals.tracer.parse(sent, tracestate),
      ),
    log: (level, message, fields) => signals.log[level](fields, message),
  });
}

class ReceivedTrace {
  readonly trace: Trace | undefined;

  constructor(trace: Trace | undefined) {
    this.trace = trace;
  }

  /** The span of a call is its handler's. */
  end(): void {}
}

function hasNeed(service: ServiceDefinition, kind: Need["kind"]): boolean {
  return Object.values(service.needs).some((need) => need.kind === kind);
}

/** Whether this process calls an outside service. */
function isCalled(external: ExternalService, services: readonly ServiceDefinition[], members: ReadonlySet<string>) {
  if (external.served && members.has("gateway")) return true;
  const { name } = external.contract;
  return services.some(({ needs }) =>
    Object.values(needs).some((need) => need.kind === "contract" && need.name === name),
  );
}

/** The services of which a method declares `cache:`. */
function keepersOf({ operations }: CheckedApp): ReadonlySet<string> {
  return new Set(
    [...operations].filter(([, each]) => [...each.values()].some(({ cache }) => cache)).map(([name]) => name),
  );
}

function hasEvents(service: ServiceDefinition): boolean {
  return publishes(service) || subscribes(service);
}

const refusePublish: Publish = async (event) => {
  throw new Error(`assertion failed: ${event.id} is published by a service without events`);
};

function requireRpcSecret(settings: Settings, name: string): string {
  if (settings.rpcSecret !== undefined) return settings.rpcSecret;
  throw new StartError(
    "RPC_SECRET_MISSING",
    `PLINTH_RPC_SECRET: it is not set, and "${name}" talks to the other processes of the app; give all of them the same (openssl rand -base64 32 makes one).`,
  );
}

function rpcTls({ rpcCertificate, rpcKey, rpcAuthority }: Settings): RpcTls | undefined {
  if (rpcCertificate === undefined && rpcKey === undefined && rpcAuthority === undefined) return undefined;
  return {
    ...(rpcCertificate !== undefined && { cert: rpcCertificate }),
    ...(rpcKey !== undefined && { key: rpcKey }),
    ...(rpcAuthority !== undefined && { ca: rpcAuthority }),
  };
}
