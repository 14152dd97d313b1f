import assert from "node:assert/strict";

/** The shop as a customer's program sees it: HTTP and JSON, nothing else. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: any;
}

export interface Ask {
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function ask(url: string, route: string, { token, body, headers }: Ask = {}): Promise<Answer> {
  const [method = "GET", path = "/"] = route.split(" ");
  const response = await fetch(new URL(path, url), {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}

/** Asserts that the request succeeded, and gives the body. */
export async function take(url: string, route: string, options: Ask & { readonly status?: number } = {}) {
  const answer = await ask(url, route, options);
  assert.equal(answer.status, options.status ?? 200, `${route}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Asserts that the request is refused with this status and reason, as problem details. */
export async function refuse(
  url: string,
  route: string,
  options: Ask & { readonly status: number; readonly reason: string },
) {
  const { status, headers, body } = await ask(url, route, options);
  assert.deepEqual(
    { status, reason: body?.reason },
    { status: options.status, reason: options.reason },
    `${route}: ${JSON.stringify(body)}`,
  );
  assert.match(headers.get("content-type") ?? "", /^application\/problem\+json/);
  assert.equal(body.status, status);
  return body;
}
