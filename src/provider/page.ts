import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import { html, Markup } from "./markup.ts";

/**
 * A page of the provider: plain HTML and one style sheet in it, no script. Its Content-Security-Policy lets it load nothing
 * and be framed by nobody.
 */
export interface Page {
  readonly title: string;
  readonly body: Markup;
  readonly status?: number;
  /** Where its form may lead besides here: browsers apply `form-action` to redirects as well. */
  readonly formTarget?: string | undefined;
  /** Seconds after which it is worth another try. */
  readonly retryAfter?: number;
}

export function sendPage(res: ServerResponse, page: Page): void {
  const text = renderPage(page);
  res.writeHead(page.status ?? 200, {
    ...pageHeaders(page),
    "content-length": Buffer.byteLength(text),
  });
  res.end(text);
}

export function renderPage({ title, body }: Page): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`.text;
}

export function pageHeaders({ formTarget, retryAfter }: Page): Record<string, string> {
  return {
    ...securityHeaders,
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": `default-src 'none'; style-src '${styleHash}'; form-action 'self'${formTarget ? ` ${formTarget}` : ""}; base-uri 'none'; frame-ancestors 'none'`,
    ...(retryAfter !== undefined && { "retry-after": String(retryAfter) }),
  };
}

/** On every answer of the provider; a page of ours has a policy of its own. */
export const securityHeaders = {
  // oidc-provider adds the hash of the one script that it has: it sends a form on by itself.
  "content-security-policy": "default-src 'none'; script-src 'none'; base-uri 'none'; frame-ancestors 'none'",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  // "no-referrer" would also take the origin off our own forms.
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
} as const;

const styleText = `
:root { --back: #f3f4f7; --card: #fff; --text: #1b1f29; --quiet: #4d5566; --line: #8a93a6; --accent: #1f4fd8; --on-accent: #fff; --bad: #b3151f; --bad-back: #fdeced; --shadow: 0 1px 2px rgb(20 30 60 / 10%), 0 12px 32px rgb(20 30 60 / 10%) }
@media (prefers-color-scheme: dark) { :root { --back: #10131a; --card: #1a1f2b; --text: #eef1f7; --quiet: #b3bccd; --line: #77819a; --accent: #8fb0ff; --on-accent: #0c1326; --bad: #ffa8ad; --bad-back: #3a1a1f; --shadow: none } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem 1rem; background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif }
main { width: 100%; max-width: 25rem; padding: 2.25rem 2rem; background: var(--card); border-radius: 1rem; box-shadow: var(--shadow) }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.01em; overflow-wrap: anywhere }
p { margin: 0 0 1rem; overflow-wrap: anywhere }
.app { margin: 0 0 1.25rem; display: flex; align-items: center; gap: .625rem; font-weight: 600 }
.app span { flex: none; display: grid; place-items: center; width: 2rem; height: 2rem; border-radius: .5rem; background: var(--accent); color: var(--on-accent); text-transform: uppercase }
.quiet { color: var(--quiet) }
.alert { margin: 1rem 0 0; padding: .75rem .875rem; border-left: 4px solid var(--bad); border-radius: .375rem; background: var(--bad-back); color: var(--bad) }
label { display: block; margin: 1.125rem 0 .375rem; font-weight: 600 }
input { display: block; width: 100%; padding: .6875rem .75rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); color: inherit; font: inherit }
input[aria-invalid] { border-color: var(--bad) }
button { display: block; width: 100%; margin-top: 1.5rem; padding: .75rem 1rem; border: 1px solid var(--accent); border-radius: .5rem; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; cursor: pointer }
button:hover { filter: brightness(1.08) }
button.second { margin-top: .75rem; border-color: var(--line); background: transparent; color: inherit }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
main > p:last-child { margin-bottom: 0 }
ul { margin: 0 0 1rem; padding: 0 0 0 1.25rem }
li { padding: .25rem 0; overflow-wrap: anywhere }
li::marker { color: var(--accent) }
code { overflow-wrap: anywhere }
`;

const style = new Markup(styleText);
const styleHash = `sha256-${createHash("sha256").update(styleText).digest("base64")}`;
