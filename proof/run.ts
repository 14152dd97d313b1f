/**
 * `npm run prove -- [NAME…] [--smoke]`: runs proofs, prints what each claims and what was seen, and keeps it in
 * `proof/results/NAME.json` and `docs/proofs.md`. Exit code 1 when a claim does not hold. `--smoke` is a short run that
 * keeps nothing. Proofs start the servers and processes they need and end them.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { describeMachine } from "../bench/machine.ts";
import { root } from "../scripts/source/tree.ts";
import type { Proof } from "./proof.ts";
import { proofs } from "./proofs.ts";
import { type Kept, renderDocument, renderKept } from "./report.ts";

const documentFile = `${root}docs/proofs.md`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { smoke: { type: "boolean", default: false } },
  });
  const names = positionals.length > 0 ? positionals : Object.keys(proofs);
  const unknown = names.find((name) => !Object.hasOwn(proofs, name));
  if (unknown !== undefined) throw new Error(`there is no proof "${unknown}"; there are ${Object.keys(proofs)}`);
  for (const name of names) {
    const proof = proofs[name] as Proof;
    say(`\n== ${name}: ${proof.title}`);
    const startedAt = performance.now();
    const shown = await proof.run({ smoke: values.smoke, say });
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    const { title, how } = proof;
    const kept: Kept = {
      title,
      how,
      command: `npm run prove -- ${name}`,
      machine: describeMachine(),
      seconds,
      ...shown,
    };
    say(renderKept(kept));
    if (!shown.claims.every(({ holds }) => holds)) process.exitCode = 1;
    if (!values.smoke) keep(name, kept);
  }
}

function keep(name: string, kept: Kept): void {
  mkdirSync(`${root}proof/results`, { recursive: true });
  writeFileSync(resultFile(name), `${JSON.stringify(kept, null, 2)}\n`);
  spawnSync(`${root}node_modules/.bin/biome`, ["format", "--write", resultFile(name)], { cwd: root });
  const all = Object.keys(proofs).filter((each) => existsSync(resultFile(each)));
  const results = all.map((each) => JSON.parse(readFileSync(resultFile(each), "utf8")) as Kept);
  writeFileSync(documentFile, renderDocument(readFileSync(documentFile, "utf8"), results));
}

function resultFile(name: string): string {
  return `${root}proof/results/${name}.json`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main();
