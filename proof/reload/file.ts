import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The gateway's file, put in place in each of the ways that there are. */
export interface ConfigFile {
  readonly path: string;
  /** Answers in which way. */
  put(content: unknown): Promise<string>;
  dispose(): Promise<void>;
}

const ways = ["written over", "renamed", "its symbolic link swapped, as Kubernetes does"] as const;

export async function createConfigFile(content: unknown): Promise<ConfigFile> {
  const folder = await mkdtemp(join(tmpdir(), "plinth-reload-"));
  const path = join(folder, "gateway.json");
  let turn = 0;
  const write = async (to: string, value: unknown): Promise<void> =>
    writeFile(to, typeof value === "string" ? value : JSON.stringify(value));
  await write(path, content);
  return {
    path,
    async put(value) {
      const way = ways[turn % ways.length] as (typeof ways)[number];
      turn++;
      if (way === "written over") await write(path, value);
      else if (way === "renamed") {
        await write(`${path}.new`, value);
        await rename(`${path}.new`, path);
      } else {
        const data = join(folder, `data-${turn}`);
        await mkdir(data);
        await write(join(data, "gateway.json"), value);
        await symlink(join(data, "gateway.json"), `${path}.link`);
        await rename(`${path}.link`, path);
      }
      return way;
    },
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}
