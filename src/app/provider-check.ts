import type { Operation } from "../service/index.ts";
import type { App } from "./app.ts";

/** What is wrong with the declaration of an identity provider, and what of the app would stand before it. */
export function checkProvider(
  { gateway: { identity, mounts = [] } }: App,
  served: readonly Operation[],
  problems: string[],
): void {
  const provider = identity?.provider;
  if (!provider) return;
  problems.push(...provider.problems);
  const isUnder = (path: string) => path === provider.path || path.startsWith(`${provider.path}/`);
  const others = [
    ...served.flatMap(({ id, route }) => (route && isUnder(route.path) ? [id] : [])),
    ...mounts.flatMap(({ path }) => (isUnder(path) ? [`the mount "${path}"`] : [])),
  ];
  for (const other of others) {
    problems.push(
      `identity provider: path: ${other} is under "${provider.path}" as well; give one of them another path, such as provider({ path: "/login" }).`,
    );
  }
}
