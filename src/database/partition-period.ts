import { StartError } from "../base/index.ts";

/** A partition's stretch of time: from inclusive, to exclusive, in ms since 1970, and the end of its name. */
export interface Period {
  readonly from: number;
  readonly to: number;
  readonly suffix: string;
}

export interface Every {
  readonly count: number;
  readonly unit: "hour" | "day" | "week" | "month";
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** 1970-01-05 was the first Monday. */
const firstMonday = 4 * dayMs;
const lengths = { hour: hourMs, day: dayMs, week: 7 * dayMs } as const;

/** "1 day", "6 hours", "1 week", "3 months". */
export function parseEvery(text: string, where: string): Every {
  const [, count = "", unit = ""] = /^(\d{1,3}) (hour|day|week|month)s?$/.exec(text) ?? [];
  if (Number(count) >= 1) return { count: Number(count), unit: unit as Every["unit"] };
  throw new StartError(
    "PARTITION_DECLARATION",
    `${where}: every is ${JSON.stringify(text)}: write a number from 1 to 999 and hours, days, weeks or months, as in "1 day"`,
  );
}

/** The period that holds `at`. All in UTC: periods count from 1970, weeks from a Monday. */
export function periodOf(at: number, { count, unit }: Every): Period {
  if (unit === "month") {
    const date = new Date(at);
    const months = Math.floor(((date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()) / count) * count;
    const [from, to] = [Date.UTC(1970, months), Date.UTC(1970, months + count)];
    return { from, to, suffix: `p${digits(from, 6)}` };
  }
  const length = lengths[unit] * count;
  const start = unit === "week" ? firstMonday : 0;
  const from = Math.floor((at - start) / length) * length + start;
  return { from, to: from + length, suffix: `p${digits(from, unit === "hour" ? 10 : 8)}` };
}

/** That one and the `ahead` after it. */
export function periodsFrom(at: number, every: Every, ahead: number): Period[] {
  const periods = [periodOf(at, every)];
  for (let i = 0; i < ahead; i++) periods.push(periodOf((periods[i] as Period).to, every));
  return periods;
}

/** As PostgreSQL reads it for a date, and for a timestamp with and without a time zone. */
export function boundText(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")}+00`;
}

function digits(at: number, count: number): string {
  return new Date(at).toISOString().replace(/\D/g, "").slice(0, count);
}
