import { StartError } from "../base/index.ts";
import type { Engine } from "../engines/engine.ts";
import { engineOfScheme, engines } from "../engines/index.gen.ts";

/** The driver factory that the scheme of an address names. StartError for an address that no engine serves as this port. */
export async function portOf<P extends keyof Engine["ports"]>(
  variable: string,
  text: string,
  port: P,
): Promise<{ readonly open: NonNullable<Engine["ports"][P]>; readonly url: URL }> {
  if (!URL.canParse(text)) {
    throw new StartError(
      "ENGINE_URL_INVALID",
      `${variable}: this is no address; write for example "postgres://user:password@host:5432/name".`,
    );
  }
  const url = new URL(text);
  const scheme = url.protocol.slice(0, -1);
  const name = engineOfScheme[scheme];
  if (!name) {
    throw new StartError(
      "ENGINE_UNKNOWN",
      `${variable}: no engine serves "${scheme}://" as a ${port}; there are ${await schemesOf(port)}.`,
    );
  }
  const engine: Engine = (await engines[name]()).default;
  const open = engine.ports[port];
  if (!open) {
    throw new StartError(
      "ENGINE_LACKS_PORT",
      `${variable}: ${engine.name} is no ${port}, it offers ${Object.keys(engine.ports).join(", ")}; there are ${await schemesOf(port)}.`,
    );
  }
  return { open, url };
}

/** The same, or undefined where the engine of the address does not serve this port. */
export async function portIfServed<P extends keyof Engine["ports"]>(
  text: string,
  port: P,
): Promise<{ readonly open: NonNullable<Engine["ports"][P]>; readonly url: URL } | undefined> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const name = url && engineOfScheme[url.protocol.slice(0, -1)];
  if (!name) return undefined;
  const engine: Engine = (await engines[name]()).default;
  const open = engine.ports[port];
  return open && { open, url };
}

/** What an address of this port may begin with. */
async function schemesOf(port: keyof Engine["ports"]): Promise<string> {
  const all: Engine[] = await Promise.all(Object.values(engines).map(async (load) => (await load()).default));
  return all
    .filter(({ ports }) => ports[port])
    .flatMap(({ schemes }) => schemes.map((scheme) => `${scheme}://`))
    .join(", ");
}
