import type { Family, Series } from "./metric-family.ts";
import { CounterSeries, GaugeSeries, HistogramSeries } from "./metric-family.ts";
import { unitOf } from "./metric-names.ts";

/** The two text formats a scraper may ask for. */
export type ExpositionFormat = "prometheus" | "openmetrics";

export const expositionTypes: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** The metrics as text. Exemplars and units are written in OpenMetrics only: the other format has none. */
export function writeExposition(families: Iterable<Family<Series>>, format: ExpositionFormat): string {
  const open = format === "openmetrics";
  let text = "";
  for (const family of families) {
    const title = family.kind === "counter" && open ? family.name.slice(0, -"_total".length) : family.name;
    text += `# HELP ${title} ${escapeHelp(family.help, open)}\n# TYPE ${title} ${family.kind}\n`;
    const unit = open ? unitOf(title) : undefined;
    if (unit !== undefined) text += `# UNIT ${title} ${unit}\n`;
    for (const series of family.series.values()) text += seriesText(family.name, series, open);
  }
  return open ? `${text}# EOF\n` : text;
}

function seriesText(name: string, series: Series, open: boolean): string {
  if (series instanceof HistogramSeries) return histogramText(name, series, open);
  if (series instanceof CounterSeries || series instanceof GaugeSeries) {
    return `${name}${series.labels === "" ? "" : `{${series.labels}}`} ${number(series.value)}\n`;
  }
  return "";
}

function histogramText(name: string, series: HistogramSeries, open: boolean): string {
  const before = series.labels === "" ? "" : `${series.labels},`;
  const own = series.labels === "" ? "" : `{${series.labels}}`;
  let text = "";
  let total = 0;
  for (let i = 0; i < series.counts.length; i++) {
    total += series.counts[i] as number;
    const bound = i < series.bounds.length ? boundText(series.bounds[i] as number, open) : "+Inf";
    text += `${name}_bucket{${before}le="${bound}"} ${total}`;
    const exemplar = open ? series.exemplars?.[i] : undefined;
    if (exemplar) {
      const { trace, value } = exemplar;
      text += ` # {trace_id="${trace.traceId}",span_id="${trace.spanId}"} ${number(value)}`;
    }
    text += "\n";
  }
  return `${text}${name}_sum${own} ${number(series.sum)}\n${name}_count${own} ${total}\n`;
}

function boundText(bound: number, open: boolean): string {
  const text = number(bound);
  return open && /^\d+$/.test(text) ? `${text}.0` : text;
}

function number(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}

function escapeHelp(help: string, open: boolean): string {
  const text = help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return open ? text.replaceAll('"', '\\"') : text;
}

/**
 * The format for an `Accept` header: the one with the higher weight, the older one when equal or when neither is
 * acceptable (a person with a browser, `curl`).
 */
export function expositionFormatFor(accept: string | undefined): ExpositionFormat {
  let open = -1;
  let plain = 0;
  for (const range of (accept ?? "").split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    let quality = 1;
    let version: string | undefined;
    for (const parameter of parameters) {
      const [name, value = ""] = parameter.split("=").map((part) => part.trim());
      if (name === "q") quality = Number(value);
      if (name === "version") version = value.replaceAll('"', "");
    }
    if (!(quality > 0 && quality <= 1)) continue;
    if (type === "application/openmetrics-text" && (version === undefined || version === "1.0.0")) {
      open = Math.max(open, quality);
    }
    if (type === "text/plain" && (version === undefined || version === "0.0.4")) plain = Math.max(plain, quality);
    if (type === "text/*" || type === "*/*") plain = Math.max(plain, quality);
  }
  return open > plain ? "openmetrics" : "prometheus";
}
