import type { Markup } from "./markup.ts";
import { html } from "./markup.ts";
import type { Page } from "./page.ts";
import { appLine } from "./status-pages.ts";

/** What a page needs to know of the interaction that it is part of. */
export interface InteractionView {
  /** The app. */
  readonly title: string;
  /** The program that sent the person here. */
  readonly client: string;
  /** Where its form is sent. */
  readonly action: string;
  readonly csrf: string;
  /** Where the browser is sent in the end, as a source of a Content-Security-Policy. */
  readonly target: string | undefined;
}

export interface SignInFault {
  readonly message: string;
  readonly status: number;
  readonly retryAfter?: number;
}

export function signInPage(view: InteractionView, name: string, fault?: SignInFault): Page {
  const wrong = fault ? html` aria-invalid="true" aria-describedby="fault"` : undefined;
  // The cursor stands where something is to be typed.
  const [nameFocus, passwordFocus] = name === "" ? [html` autofocus`, undefined] : [undefined, html` autofocus`];
  return {
    title: `${fault ? "Error: " : ""}Sign in - ${view.title}`,
    status: fault?.status ?? 200,
    formTarget: view.target,
    ...(fault?.retryAfter !== undefined && { retryAfter: fault.retryAfter }),
    body: html`${appLine(view.title)}
<h1>Sign in</h1>
<p class="quiet">to continue to ${view.client}</p>
${fault && html`<p class="alert" id="fault" role="alert">${fault.message}</p>`}
<form method="post" action="${view.action}">
<input type="hidden" name="csrf" value="${view.csrf}">
<label for="name">User name</label>
<input id="name" name="name" type="text" value="${name}" autocomplete="username" autocapitalize="none" autocorrect="off" spellcheck="false" maxlength="254" required${nameFocus}${wrong}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="400" required${passwordFocus}${wrong}>
<button type="submit" name="do" value="sign-in">Sign in</button>
<button class="second" type="submit" name="do" value="cancel" formnovalidate>Cancel</button>
</form>`,
  };
}

export function consentPage(view: InteractionView, person: string, items: readonly string[]): Page {
  const list: Markup | undefined =
    items.length === 0 ? undefined : html`<ul>${items.map((item) => html`<li>${item}</li>`)}</ul>`;
  return {
    title: `Allow ${view.client}? - ${view.title}`,
    formTarget: view.target,
    body: html`${appLine(view.title)}
<h1>Allow ${view.client}?</h1>
<p class="quiet">You are signed in as ${person}. ${items.length === 0 ? "It will know that this is you." : "It asks to:"}</p>
${list}
<form method="post" action="${view.action}">
<input type="hidden" name="csrf" value="${view.csrf}">
<button type="submit" name="do" value="allow">Allow</button>
<button class="second" type="submit" name="do" value="cancel">Cancel</button>
</form>`,
  };
}

export function expiredPage(title: string): Page {
  return {
    title: `Start again - ${title}`,
    status: 400,
    body: html`${appLine(title)}
<h1>Please start again</h1>
<p class="quiet">This sign-in is over: it took too long, was finished already, or belongs to another browser. Go back to the application that you came from and sign in from there.</p>`,
  };
}
