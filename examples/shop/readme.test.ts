import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { newDatabase, skipWithoutPostgres } from "./postgres.fixture.ts";
import { freePorts, type Program, startCommand } from "./process.fixture.ts";
import { newFolder } from "./shop.fixture.ts";

/** A block of commands, and what the block after it says that they print. */
interface Exchange {
  readonly commands: string;
  readonly printed: string | undefined;
}

const readme = readFileSync(new URL("./README.md", import.meta.url), "utf8");

function exchanges(): Exchange[] {
  const found: Exchange[] = [];
  for (const [, language, text = ""] of readme.matchAll(/```(sh|json|text)\n(.*?)```/gs)) {
    const last = found.at(-1);
    if (language === "sh") found.push({ commands: text, printed: undefined });
    else if (last) found[found.length - 1] = { ...last, printed: text };
  }
  return found;
}

/** White space does not count, and `…` stands for anything. */
function toPattern(printed: string): RegExp {
  const parts = withoutSpace(printed).split("…");
  return new RegExp(`^${parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`);
}

function withoutSpace(text: string): string {
  return text.replaceAll(/\s/g, "");
}

const missing = ["bash", "curl", "sed", "grep"].filter((tool) => spawnSync(tool, ["--version"]).error);
const skip = missing.length > 0 && `${missing.join(", ")} is not installed`;
const separator = "=== the next block ===";

/** Runs the blocks one after the other in one shell, as a reader would, against a shop at this port. */
function runAll(port: number, folder: string): string[] {
  const script = exchanges()
    .map(({ commands }) => commands.replaceAll("127.0.0.1:8080", `127.0.0.1:${port}`))
    .join(`\necho "${separator}"\n`);
  const { stdout, stderr, status } = spawnSync("bash", ["-euo", "pipefail", "-c", script], {
    cwd: folder,
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  return stdout.split(`${separator}\n`);
}

interface Way {
  readonly name: string;
  readonly skip: string | false;
  readonly arguments: readonly string[];
  readonly postgres: boolean;
}

const ways: readonly Way[] = [
  { name: "npm start", skip, arguments: [], postgres: false },
  { name: "npm start -- --split", skip: skip || skipWithoutPostgres, arguments: ["--split"], postgres: true },
];

for (const way of ways) {
  const title = `the README's purchase after ${way.name}`;
  if (way.skip) it(title, { skip: way.skip }, () => {});
  else describe(title, () => follow(way));
}

function follow(way: Way): void {
  let folder = "";
  let program: Program | undefined;
  let database: Awaited<ReturnType<typeof newDatabase>> | undefined;
  let printed: string[] = [];

  before(async () => {
    folder = await newFolder();
    if (way.postgres) database = await newDatabase();
    const [port = 0] = await freePorts(1);
    program = startCommand(["start", ...way.arguments], {
      folder,
      environment: {
        PORT: String(port),
        PLINTH_MANAGEMENT_PORT: "0",
        ...(database && { DATABASE_URL: database.url }),
      },
    });
    await program.says(/ready shop( \(edge\))? in [\d.]+ s/);
    printed = runAll(port, folder);
  });
  after(async () => {
    await program?.stop();
    await database?.drop();
    await rm(folder, { recursive: true, force: true });
  });

  for (const [i, exchange] of exchanges().entries()) {
    if (exchange.printed === undefined) continue;
    it(`prints what it says for: ${exchange.commands.trim().split("\n").at(-1)}`, () => {
      assert.match(withoutSpace(printed[i] ?? ""), toPattern(exchange.printed ?? ""));
    });
  }
}

describe("the README's commands for several processes", () => {
  it("name groups and settings that exist", () => {
    for (const [, group] of readme.matchAll(/--group (\w+)/g))
      assert.match(group ?? "", /^(edge|catalogue|orders|workers)$/);
    assert.equal([...readme.matchAll(/--group (\w+)/g)].length, 4);
  });
});
