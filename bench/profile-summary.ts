import type { Machine } from "./machine.ts";
import { type ProgramProfile, sumBy } from "./profile.ts";

/** What is committed of a profile (`--profile --keep`): enough to see why a goal is not reached. */
export interface ProfileSummary {
  readonly machine: Machine;
  readonly command: string;
  readonly programs: readonly ProgramSummary[];
}

export interface ProgramSummary {
  readonly program: string;
  /** In which it did anything. */
  readonly busyMs: number;
  /** Percent of that, the most first: by part of the program, and by function without those it calls. */
  readonly parts: Readonly<Record<string, number>>;
  readonly functions: Readonly<Record<string, number>>;
}

const partsMax = 20;
const functionsMax = 12;
/** Parts below that are the rest, percent. */
const leastShare = 1;

/** Who was busy for a smaller share of what the busiest was had nothing to do with it. */
const leastBusy = 0.1;

/** Of several processes of one program the busiest. */
export function summarize(profiles: readonly ProgramProfile[], machine: Machine, command: string): ProfileSummary {
  const busiest = new Map<string, ProgramSummary>();
  for (const each of profiles.map(summaryOf)) {
    if (each.busyMs > (busiest.get(each.program)?.busyMs ?? 0)) busiest.set(each.program, each);
  }
  const served = [...busiest.values()].filter(({ program }) => !program.startsWith("load-"));
  const most = Math.max(...served.map(({ busyMs }) => busyMs));
  const programs = served.filter(({ busyMs }) => busyMs >= leastBusy * most);
  return { machine, command, programs: programs.sort((a, b) => Number(isOurs(b)) - Number(isOurs(a))) };
}

function summaryOf({ program, spent }: ProgramProfile): ProgramSummary {
  const us = spent.reduce((sum, [, value]) => sum + value, 0);
  const most = (by: ReadonlyMap<string, number>, max: number) =>
    Object.fromEntries(
      [...by]
        .sort(([, a], [, b]) => b - a)
        .slice(0, max)
        .map(([name, value]) => [name, Number(((100 * value) / us).toFixed(1))]),
    );
  return {
    program,
    busyMs: Math.round(us / 1000),
    parts: most(sumBy(spent, "part"), partsMax),
    functions: most(sumBy(spent, "name"), functionsMax),
  };
}

function isOurs({ parts }: ProgramSummary): boolean {
  return Object.keys(parts).some((part) => part.startsWith("Plinth"));
}

/** Two tables: the parts of all programs beside each other, and the functions of ours. */
export function renderProfile({ machine: { date, node }, command, programs }: ProfileSummary): string {
  const shown = new Set(
    programs.flatMap(({ parts }) => Object.keys(parts).filter((part) => (parts[part] ?? 0) >= leastShare)),
  );
  const restOf = ({ parts }: ProgramSummary) =>
    [...shown].reduce((rest, part) => rest - (parts[part] ?? 0), 100).toFixed(1);
  const ours = programs.filter(isOurs);
  return [
    `\nWhere the time goes, in percent of that in which a process did anything (\`${command}\`, ${date}, Node ${node}):\n`,
    ...tableOf(
      ["part", ...programs.map(({ program }) => program)],
      [
        ...[...shown].map((part) => [part, ...programs.map(({ parts }) => (parts[part] ?? 0).toFixed(1))]),
        ["the rest", ...programs.map(restOf)],
      ],
    ),
    ...ours.flatMap(({ program, functions }) => [
      "",
      ...tableOf(
        [`functions of ${program} themselves`, "%"],
        Object.entries(functions).map(([name, share]) => [`\`${name.replaceAll("|", "\\|")}\``, share.toFixed(1)]),
      ),
    ]),
  ].join("\n");
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
}
