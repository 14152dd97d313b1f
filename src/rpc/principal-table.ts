import type { Principal } from "../base/index.ts";
import { anonymous, isError } from "../base/index.ts";
import type { Reader } from "../wire/index.ts";
import { readValue, writeValue } from "../wire/index.ts";
import type { Connection } from "./connection.ts";
import { principalTooLarge, protocolBroken } from "./errors.ts";
import { frameKind } from "./protocol.ts";

/**
 * Principals travel once for each connection, then as a small number. Slots 1 to 1,024 are filled in turn; a new
 * principal takes the oldest's slot. Slot 0 is the anonymous one. A principal is known again by identity: the gateway
 * keeps one object for each verified token, and a hop passes on the object that it received.
 */
const slotCount = 1024;

/** Together with its claims. */
const principalBytesMax = 32 * 1024;

export class SentPrincipals {
  readonly #slots = new Map<Principal, number>();
  readonly #owners: (Principal | undefined)[] = [];
  #next = 0;

  /** The slot of a principal, after having told the peer if need be. */
  slotOf(principal: Principal, connection: Connection): number {
    if (principal.kind === "anonymous") return 0;
    const known = this.#slots.get(principal);
    if (known !== undefined) return known;
    const slot = (this.#next % slotCount) + 1;
    this.#tell(connection, slot, principal);
    this.#next++;
    const evicted = this.#owners[slot];
    if (evicted) this.#slots.delete(evicted);
    this.#owners[slot] = principal;
    this.#slots.set(principal, slot);
    return slot;
  }

  #tell(connection: Connection, slot: number, principal: Principal): void {
    const { kind, subject, scopes, claims } = principal;
    const { writer } = connection;
    const mark = connection.begin(frameKind.principal);
    try {
      writer.uvarint(slot);
      writer.depth = 0;
      writeValue(writer, { kind, subject, scopes, claims });
      if (writer.length - mark > principalBytesMax) throw principalTooLarge(principalBytesMax);
      connection.end(mark);
    } catch (thrown) {
      writer.rewind(mark);
      throw isError(thrown, "FRAME_TOO_LARGE") ? principalTooLarge(principalBytesMax) : thrown;
    }
  }
}

export class ReceivedPrincipals {
  readonly #slots: (Principal | undefined)[] = [anonymous];

  receive(payload: Reader): void {
    const slot = payload.uvarint();
    const value = readValue(payload);
    payload.finish();
    if (slot < 1 || slot > slotCount) throw protocolBroken(`there is no principal slot ${slot}`);
    this.#slots[slot] = toPrincipal(value);
  }

  get(slot: number): Principal {
    const principal = this.#slots[slot];
    if (!principal) throw protocolBroken(`the principal slot ${slot} was not filled`);
    return principal;
  }
}

function toPrincipal(value: unknown): Principal {
  const { kind, subject, scopes, claims } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const isKind = kind === "user" || kind === "service";
  const areScopes = Array.isArray(scopes) && scopes.every((scope) => typeof scope === "string");
  const areClaims = typeof claims === "object" && claims !== null && !Array.isArray(claims);
  if (!isKind || typeof subject !== "string" || !areScopes || !areClaims) throw protocolBroken("a principal is none");
  return Object.freeze({ kind, subject, scopes: Object.freeze(scopes), claims: Object.freeze(claims) }) as Principal;
}
