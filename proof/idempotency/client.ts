import { setTimeout as sleep } from "node:timers/promises";

/** One answer, as a client sees it. Undefined status: there was none. */
export interface Answer {
  readonly status: number | undefined;
  readonly text: string;
  readonly reason: string | undefined;
  readonly isReplay: boolean;
  readonly retryAfter: string | undefined;
}

export async function pay(url: string, key: string, body: object): Promise<Answer> {
  try {
    const response = await fetch(`${url}/payments`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": `"${key}"` },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    return {
      status: response.status,
      text,
      reason: response.ok ? undefined : JSON.parse(text).reason,
      isReplay: response.headers.get("idempotency-replayed") === "true",
      retryAfter: response.headers.get("retry-after") ?? undefined,
    };
  } catch {
    return { status: undefined, text: "", reason: undefined, isReplay: false, retryAfter: undefined };
  }
}

/** Asks under one key until there is an answer that stays: every answer on the way, the last one included. */
export async function payUntilAnswered(url: string, key: string, body: object): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  const endAt = performance.now() + 60_000;
  for (;;) {
    const answer = await pay(url, key, body);
    answers.push(answer);
    const { status } = answer;
    const isFinal = status !== undefined && status < 500 && status !== 409;
    if (isFinal || performance.now() > endAt) return answers;
    await sleep(100 + Math.random() * 200);
  }
}
