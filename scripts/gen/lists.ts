import { isTest } from "../source/rooms.ts";
import type { Tree } from "../source/tree.ts";

/** A list of everything in a folder that grows by one file or folder at a time, each loaded when first asked for. */
interface Growing {
  readonly variable: string;
  readonly about: string;
  /** The path of a member, with its name as the first group. */
  readonly member: RegExp;
}

const growing: Readonly<Record<string, Growing>> = {
  "src/generators/index.gen.ts": {
    variable: "generators",
    about: "Every generator by name, loaded when first asked for.",
    member: /^src\/generators\/([^/]+)\/index\.ts$/,
  },
  "src/cli/commands/index.gen.ts": {
    variable: "commands",
    about: "Every command by name, loaded when first asked for.",
    member: /^src\/cli\/commands\/([^/.]+)\.ts$/,
  },
};

export const listPaths: readonly string[] = Object.keys(growing);

/** The text of a generated list, or undefined when its folder has no member yet. */
export function listText(tree: Tree, path: string): string | undefined {
  const { variable, about, member } = growing[path] as Growing;
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const lines = [...tree.keys()].sort().flatMap((file) => {
    const name = isTest(file) ? undefined : member.exec(file)?.[1];
    return name ? [`  ${propertyName(name)}: () => import("./${file.slice(folder.length)}"),`] : [];
  });
  if (lines.length === 0) return undefined;
  return `// Written by \`npm run gen\` from what stands beside it. Nothing is edited here.

/** ${about} */
export const ${variable} = {
${lines.join("\n")}
} as const;
`;
}

export function propertyName(name: string): string {
  return /^[a-z_$][\w$]*$/i.test(name) ? name : JSON.stringify(name);
}
