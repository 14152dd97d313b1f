import { register } from "prom-client";

/** What a scrape would show: how many requests were counted. */
export async function answered(): Promise<number> {
  const text = await register.metrics();
  const counts = text.matchAll(/^http_request_duration_seconds_count(?:\{.*\})? (\S+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}
