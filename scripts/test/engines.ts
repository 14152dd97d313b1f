import type { Tree } from "../source/tree.ts";

/** A real engine that the tests can use: it has a script that starts it. */
interface RealEngine {
  readonly name: string;
  readonly variable: string;
}

export function realEngines(tree: Tree): RealEngine[] {
  const names = [...tree.keys()].map((path) => /^scripts\/engines\/([a-z0-9-]+)\.sh$/.exec(path)?.[1]);
  return names
    .filter((name) => name !== undefined)
    .map((name) => ({ name, variable: `PLINTH_TEST_${name.toUpperCase().replaceAll("-", "_")}_URL` }));
}

/** One line for each engine: used, with where, or skipped, with why. */
export function describeEngines(tree: Tree, env: NodeJS.ProcessEnv): string[] {
  const real = realEngines(tree).map(({ name, variable }) => {
    const url = env[variable];
    if (url) return `${name}: used, ${withoutSecrets(url)}`;
    return `${name}: skipped, ${variable} is not set (eval "$(bash scripts/engines.sh up ${name})" starts one)`;
  });
  return ["embedded database and memory: used", ...real];
}

function withoutSecrets(url: string): string {
  try {
    const { protocol, host } = new URL(url);
    return `${protocol}//${host}`;
  } catch {
    return "an address that is no URL";
  }
}
