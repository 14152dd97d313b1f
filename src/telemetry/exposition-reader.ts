/** A family of metrics as a strict reader understood it. */
export interface ExpositionFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string | undefined;
  readonly unit: string | undefined;
  readonly samples: readonly ExpositionSample[];
}

export interface ExpositionSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly exemplar: { readonly labels: Readonly<Record<string, string>>; readonly value: number } | undefined;
}

export interface Exposition {
  readonly families: ReadonlyMap<string, ExpositionFamily>;
  /** The value of one series, or undefined. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
}

/**
 * Reads metrics text as a strict scraper would, and throws on the first thing that breaks the format: order of the
 * comments, names, escapes, doubled series, families that are mixed, buckets that do not rise or do not fit the count.
 */
export function readExposition(text: string, format: "prometheus" | "openmetrics"): Exposition {
  const open = format === "openmetrics";
  if (!text.endsWith("\n")) fail(text.slice(-40), "the last line has no end");
  const lines = text.slice(0, -1).split("\n");
  if (open && lines.pop() !== "# EOF") fail(text.slice(-40), "no # EOF at the end");

  const families = new Map<string, FamilyDraft>();
  const seen = new Set<string>();
  let current: FamilyDraft | undefined;
  for (const line of lines) {
    if (line.startsWith("# ")) {
      current = readComment(line, open, families, current);
      continue;
    }
    const sample = readSample(line, open);
    const endings = endingsOf(current?.type ?? "", open);
    if (!current || !endings?.some((ending) => `${current?.name}${ending}` === sample.name)) {
      return fail(line, `no sample of ${current?.type} ${current?.name}`);
    }
    const identity = sample.name + labelKey(sample.labels);
    if (seen.has(identity)) fail(line, "a series comes twice");
    seen.add(identity);
    if (current.type === "counter" && !(sample.value >= 0)) fail(line, "a counter below zero");
    current.samples.push(sample);
  }
  for (const family of families.values()) if (family.type === "histogram") checkHistogram(family);
  return { families, value: (name, labels = {}) => findValue(families, name, labels) };
}

interface FamilyDraft extends ExpositionFamily {
  type: string;
  help: string | undefined;
  unit: string | undefined;
  readonly samples: ExpositionSample[];
}

function fail(line: string, what: string): never {
  throw new Error(`${what}: ${JSON.stringify(line)}`);
}

function labelKey(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).sort());
}

function findValue(
  families: ReadonlyMap<string, ExpositionFamily>,
  name: string,
  labels: Readonly<Record<string, string>>,
): number | undefined {
  const wanted = labelKey(labels);
  for (const family of families.values()) {
    const sample = family.samples.find((one) => one.name === name && labelKey(one.labels) === wanted);
    if (sample) return sample.value;
  }
  return undefined;
}

function readComment(
  line: string,
  open: boolean,
  families: Map<string, FamilyDraft>,
  current: FamilyDraft | undefined,
): FamilyDraft {
  const comment = /^# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
  if (!comment) return fail(line, "an unknown comment");
  const [, what, name = "", rest = ""] = comment;
  let family = current;
  if (family?.name !== name) {
    if (families.has(name)) fail(line, "a family is in two places");
    family = { name, type: "unknown", help: undefined, unit: undefined, samples: [] };
    families.set(name, family);
  }
  if (family.samples.length > 0) fail(line, "a comment after the samples");
  if (what === "HELP") family.help = unescapeText(rest, line, open);
  if (what === "TYPE") family.type = rest;
  if (what === "UNIT") {
    if (!open || !name.endsWith(`_${rest}`)) fail(line, "a unit that the name does not end in");
    family.unit = rest;
  }
  return family;
}

function endingsOf(type: string, open: boolean): readonly string[] | undefined {
  if (type === "gauge") return [""];
  if (type === "counter") return open ? ["_total"] : [""];
  return type === "histogram" ? ["_bucket", "_sum", "_count"] : undefined;
}

function readSample(line: string, open: boolean): ExpositionSample {
  const shape =
    /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)(?: # \{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\} (\S+))?$/;
  const match = shape.exec(line);
  if (!match) throw new Error(`no sample: ${JSON.stringify(line)}`);
  const [, name = "", labels = "", value = "", exemplarLabels, exemplarValue = ""] = match;
  if (exemplarLabels !== undefined && (!open || !name.endsWith("_bucket"))) {
    throw new Error(`an exemplar where none may be: ${JSON.stringify(line)}`);
  }
  const exemplar =
    exemplarLabels === undefined
      ? undefined
      : { labels: readLabels(exemplarLabels, line), value: readNumber(exemplarValue, line) };
  return { name, labels: readLabels(labels, line), value: readNumber(value, line), exemplar };
}

function readLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== "") {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(?:,(?=.)|$)/.exec(rest);
    if (!match) throw new Error(`wrong labels: ${JSON.stringify(line)}`);
    const [all, name = "", value = ""] = match;
    if (Object.hasOwn(labels, name)) throw new Error(`label ${name} twice: ${JSON.stringify(line)}`);
    labels[name] = unescapeText(value, line, true);
    rest = rest.slice(all.length);
  }
  return labels;
}

function unescapeText(text: string, line: string, quotes: boolean): string {
  return text.replaceAll(/\\(.?)/g, (_, character: string) => {
    if (character === "n") return "\n";
    if (character === "\\" || (quotes && character === '"')) return character;
    throw new Error(`wrong escape: ${JSON.stringify(line)}`);
  });
}

function readNumber(text: string, line: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  if (text === "NaN") return Number.NaN;
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) throw new Error(`no number: ${JSON.stringify(line)}`);
  return Number(text);
}

function checkHistogram(family: ExpositionFamily): void {
  const groups = new Map<string, { buckets: ExpositionSample[]; count?: number; sum?: number }>();
  for (const sample of family.samples) {
    const { le, ...labels } = sample.labels;
    const key = labelKey(labels);
    const group = groups.get(key) ?? { buckets: [] };
    groups.set(key, group);
    if (sample.name.endsWith("_bucket")) {
      if (le === undefined) fail(sample.name, "a bucket without le");
      group.buckets.push(sample);
    } else if (sample.name.endsWith("_count")) group.count = sample.value;
    else group.sum = sample.value;
  }
  for (const { buckets, count, sum } of groups.values()) {
    const bounds = buckets.map((bucket) => readNumber(bucket.labels.le as string, family.name));
    const rising = buckets.every((bucket, i) => {
      const before = buckets[i - 1];
      return (
        before === undefined || (bucket.value >= before.value && (bounds[i] as number) > (bounds[i - 1] as number))
      );
    });
    if (!rising) fail(family.name, "buckets that do not rise");
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY) fail(family.name, "no +Inf bucket");
    if (sum === undefined || count !== buckets.at(-1)?.value) fail(family.name, "a count that is not the last bucket");
  }
}
