import type { Trace } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import type { MetricKind } from "./metric-names.ts";

/** All series of one metric. `with` finds or makes the series of some labels: do it once, keep the handle. */
export interface MetricFamily<Label extends string, Handle> {
  readonly name: string;
  with(...labels: [Label] extends [never] ? [] : [labels: Readonly<Record<Label, LabelValue>>]): Handle;
}

export type LabelValue = string | number | boolean;

export interface Counter {
  /** Adds `count` (default 1). A negative or non-finite one is left out and counted as rejected. */
  add(count?: number): void;
  /** For a total that is counted elsewhere. A total below the last one is left out. */
  advanceTo(total: number): void;
  readonly value: number;
}

export interface Gauge {
  set(value: number): void;
  inc(by?: number): void;
  dec(by?: number): void;
  readonly value: number;
}

export interface Histogram {
  /** One observation, in the unit of the name. With a sampled `trace` it becomes the exemplar of its bucket. */
  observe(value: number, trace?: Trace): void;
  readonly count: number;
  readonly sum: number;
}

/** What the writer of the text reads. */
export interface Series {
  /** `name="value",…`, escaped; "" without labels. */
  readonly labels: string;
}

export interface MetricDefinition {
  readonly kind: MetricKind;
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** Counts what a wrong value would have broken. */
export interface Rejections {
  rejected: number;
}

export class CounterSeries implements Counter, Series {
  readonly labels: string;
  value = 0;
  readonly #rejections: Rejections;

  constructor(labels: string, rejections: Rejections) {
    this.labels = labels;
    this.#rejections = rejections;
  }
  add(count = 1): void {
    if (count >= 0 && count < Number.POSITIVE_INFINITY) this.value += count;
    else this.#rejections.rejected++;
  }
  advanceTo(total: number): void {
    if (total >= this.value && total < Number.POSITIVE_INFINITY) this.value = total;
    else this.#rejections.rejected++;
  }
}

export class GaugeSeries implements Gauge, Series {
  readonly labels: string;
  value = 0;

  constructor(labels: string) {
    this.labels = labels;
  }
  set(value: number): void {
    this.value = value;
  }
  inc(by = 1): void {
    this.value += by;
  }
  dec(by = 1): void {
    this.value -= by;
  }
}

export class HistogramSeries implements Histogram, Series {
  readonly labels: string;
  readonly bounds: Float64Array;
  /** One for each bound and one for what lies above; not cumulative. */
  readonly counts: Float64Array;
  sum = 0;
  exemplars: ({ readonly trace: Trace; readonly value: number } | undefined)[] | undefined = undefined;
  readonly #rejections: Rejections;

  constructor(labels: string, bounds: Float64Array, rejections: Rejections) {
    this.labels = labels;
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
    this.#rejections = rejections;
  }

  get count(): number {
    let count = 0;
    for (const one of this.counts) count += one;
    return count;
  }

  observe(value: number, trace?: Trace): void {
    // Rejects NaN too. An endless or negative observation would make the sum useless for ever.
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) {
      this.#rejections.rejected++;
      return;
    }
    const bounds = this.bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
    if (trace?.sampled) {
      this.exemplars ??= new Array(this.counts.length).fill(undefined);
      this.exemplars[bucket] = { trace, value };
    }
  }
}

/** The label value that stands for all series above the limit. */
export const overflowLabel = "other";
const labelValueLengthMax = 256;

export class Family<S extends Series> implements Rejections {
  readonly kind: MetricKind;
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly series = new Map<string, S>();
  rejected = 0;
  /** Calls of `with` that got the overflow series. */
  overflowCount = 0;
  readonly #seriesMax: number;
  readonly #make: (labels: string, rejections: Rejections) => S;

  constructor(definition: MetricDefinition, seriesMax: number, make: (labels: string, rejections: Rejections) => S) {
    this.kind = definition.kind;
    this.name = definition.name;
    this.help = definition.help;
    this.labelNames = definition.labelNames;
    this.#seriesMax = seriesMax;
    this.#make = make;
    // A metric without labels is there from the start, at zero: a rate needs a first value.
    if (this.labelNames.length === 0) this.with();
  }

  with(labels: Readonly<Record<string, LabelValue>> = {}): S {
    const values = this.#values(labels);
    const key = JSON.stringify(values);
    const known = this.series.get(key);
    if (known) return known;
    if (this.series.size < this.#seriesMax) return this.#add(key, values);
    this.overflowCount++;
    const others = values.map(() => overflowLabel);
    const otherKey = JSON.stringify(others);
    return this.series.get(otherKey) ?? this.#add(otherKey, others);
  }

  #add(key: string, values: readonly string[]): S {
    const labels = this.labelNames.map((name, i) => `${name}="${escapeLabel(values[i] as string)}"`).join(",");
    const series = this.#make(labels, this);
    this.series.set(key, series);
    return series;
  }

  #values(labels: Readonly<Record<string, LabelValue>>): string[] {
    const given = Object.keys(labels);
    const missing = this.labelNames.filter((name) => !Object.hasOwn(labels, name));
    if (missing.length > 0 || given.length !== this.labelNames.length) {
      throw new StartError(
        "METRIC_LABELS_WRONG",
        `metric ${JSON.stringify(this.name)}: it has the labels [${this.labelNames.join(", ")}], but [${given.join(", ")}] were given.`,
      );
    }
    return this.labelNames.map((name) => String(labels[name]).slice(0, labelValueLengthMax));
  }
}

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
