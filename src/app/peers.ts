import type { Clock, Random } from "../base/index.ts";
import type { HttpClient, RpcClient, RpcClientState, RpcTls } from "../rpc/index.ts";
import { createHttpClient, createRpcClient } from "../rpc/index.ts";
import type { Compiled, Schema } from "../schema/index.ts";
import { compile } from "../schema/index.ts";
import type { ExternalService, Link, Operation } from "../service/index.ts";
import type { Logger } from "../telemetry/index.ts";
import type { App } from "./app.ts";
import { groupsOf } from "./app.ts";
import type { CheckedApp } from "./check.ts";
import { toRpcSignature } from "./wiring.ts";

/**
 * The other processes that this one calls: the app's other groups over RPC, outside services over HTTP. Clients are made
 * with the first link that needs them. They connect at the start to those that are there, to the others with the first call.
 */
export interface Peers {
  linkTo(operation: Operation): Link;
  /** How the connections are, by group. */
  states(): readonly (readonly [group: string, state: RpcClientState])[];
  /** To those that are there. A process that was just restarted gets its share of the load at once, all of it new calls. */
  connectAhead(): void;
  /** This process takes leave: it holds up none that leaves as well. */
  quiesce(): void;
  close(): Promise<void>;
}

export interface PeersOptions {
  readonly checked: CheckedApp;
  /** Who calls: "shop/orders". */
  readonly name: string;
  /** Where each group listens, "host:port" each. */
  addressesOf(group: string): readonly string[];
  secret(): string;
  readonly tls: RpcTls | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Requests to outside services are checked against their schemas. */
  readonly check: boolean;
  headersOf(service: ExternalService): Readonly<Record<string, string>>;
  readonly log: Logger;
}

export function createPeers(options: PeersOptions): Peers {
  const { checked, clock, random, log } = options;
  const groups = new Map<string, RpcClient>();
  const outside = new Map<string, HttpClient>();

  const groupClient = (group: string): RpcClient => {
    const known = groups.get(group);
    if (known) return known;
    const members = groupsOf(checked.app).get(group) ?? [];
    const client = createRpcClient({
      name: options.name,
      addresses: options.addressesOf(group),
      secret: options.secret(),
      tls: options.tls,
      methods: members.flatMap((member) => [...(checked.operations.get(member)?.values() ?? [])].map(toRpcSignature)),
      clock,
      random,
      log: (level, message, fields) => log[level]({ group, ...fields }, message),
    });
    groups.set(group, client);
    return client;
  };

  const outsideClient = (service: ExternalService): HttpClient => {
    const { name } = service.contract;
    const known = outside.get(name);
    if (known) return known;
    const headers = options.headersOf(service);
    const client = createHttpClient({ baseUrl: service.url, headers: () => headers, clock });
    outside.set(name, client);
    return client;
  };

  return {
    linkTo(operation) {
      const service = checked.app.services.find((each) => each.contract.name === operation.service);
      if (service?.kind === "external") {
        return toHttpLink(outsideClient(service), operation, options.check);
      }
      const client = groupClient(groupOf(checked.app, operation.service));
      if (operation.kind === "stream") return { call: undefined, stream: client.stream(operation.id) };
      const call = client.call(operation.id);
      return {
        call: operation.response ? call : async (request, context) => void (await call(request, context)),
        stream: undefined,
      };
    },
    states: () => [...groups].map(([group, client]) => [group, client.state]),
    connectAhead() {
      for (const client of groups.values()) client.connectAhead();
    },
    quiesce() {
      for (const client of groups.values()) client.quiesce();
    },
    async close() {
      await Promise.all([...groups.values(), ...outside.values()].map((client) => client.close()));
    },
  };
}

function groupOf(definition: App, service: string): string {
  for (const [group, members] of groupsOf(definition)) if (members.includes(service)) return group;
  throw new Error(`assertion failed: ${service} is in no group`);
}

function toHttpLink(client: HttpClient, operation: Operation, check: boolean): Link {
  const { route, response } = operation;
  if (!route) throw new Error(`assertion failed: ${operation.id} has no route`);
  const target = { id: operation.id, verb: route.verb, path: route.path };
  const parse = response ? response.parse : () => undefined;
  const take = compileTake(operation.request, check);
  if (operation.kind === "stream") {
    const stream = client.stream(target, parse);
    return { call: undefined, stream: (request, context) => stream(take(request), context) };
  }
  const call = client.call(target, parse);
  return { call: async (request, context) => call(take(request), context), stream: undefined };
}

/** What leaves for outside is what the contract declares, and nothing else. */
function compileTake(request: Compiled, check: boolean): (message: unknown) => unknown {
  if (request.native) {
    const fillsIn = JSON.stringify(request.jsonSchema).includes('"default":');
    return check || fillsIn ? request.parse : request.copy;
  }
  // The outside service takes what the schema takes, not what it makes of it.
  const { copy } = compile(request.jsonSchema as unknown as Schema);
  return (message) => {
    request.parse(message);
    return copy(message as never);
  };
}
