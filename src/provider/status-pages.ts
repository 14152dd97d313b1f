import type { KoaContextWithOIDC } from "oidc-provider";
import { html, Markup } from "./markup.ts";
import type { Page } from "./page.ts";
import { pageHeaders, renderPage } from "./page.ts";

/** The pages that oidc-provider asks for by itself: errors and signing out. */

export function errorPage(title: string, reason: string, description: string | undefined): Page {
  return {
    title: `Something is wrong - ${title}`,
    body: html`${appLine(title)}
<h1>This did not work</h1>
<p class="quiet">The application that sent you here asked for something that is not possible. Go back to it and try again; if it happens again, tell its makers:</p>
<p><code>${reason}${description ? `: ${description}` : ""}</code></p>`,
  };
}

export function busyPage(title: string, retryAfter: number): Page {
  return {
    title: `Wait a little - ${title}`,
    status: 429,
    retryAfter,
    body: html`${appLine(title)}
<h1>Wait a little</h1>
<p class="quiet">Somebody at your address asked very often. Try again in a moment.</p>`,
  };
}

/** `form` is oidc-provider's own, with the id "op.logoutForm". */
export function signOutPage(title: string, form: string, target: string | undefined): Page {
  return {
    title: `Sign out - ${title}`,
    body: html`${appLine(title)}
<h1>Sign out?</h1>
<p class="quiet">You are signed in to ${title}.</p>
${new Markup(form)}
<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>
<button class="second" type="submit" form="op.logoutForm">Stay signed in</button>`,
    formTarget: target,
  };
}

export function signedOutPage(title: string): Page {
  return {
    title: `Signed out - ${title}`,
    body: html`${appLine(title)}
<h1>You are signed out</h1>
<p class="quiet">You can close this page.</p>`,
  };
}

/** An address as a source of a Content-Security-Policy: its origin, or the scheme of a program. */
export function sourceOf(address: unknown): string | undefined {
  if (typeof address !== "string" || !URL.canParse(address)) return undefined;
  const url = new URL(address);
  return url.origin === "null" ? url.protocol : url.origin;
}

export function appLine(title: string): Markup {
  return html`<p class="app"><span aria-hidden="true">${[...title][0] ?? ""}</span>${title}</p>`;
}

export function sendKoaPage(ctx: KoaContextWithOIDC, page: Page): void {
  ctx.set(pageHeaders(page));
  ctx.body = renderPage(page);
}
