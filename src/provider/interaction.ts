import type { IncomingMessage, ServerResponse } from "node:http";
import type { Client, errors, Grant, Interaction, InteractionResults, Provider } from "oidc-provider";
import { isError } from "../base/index.ts";
import { isSameOrigin, readForm } from "./form.ts";
import type { InteractionView, SignInFault } from "./interaction-pages.ts";
import { consentPage, expiredPage, signInPage } from "./interaction-pages.ts";
import { sendPage } from "./page.ts";
import type { ProviderDefinition } from "./provider.ts";
import type { ProviderSecret } from "./secret.ts";
import type { SignInLimits } from "./sign-in-limits.ts";
import { sourceOf } from "./status-pages.ts";
import type { UserStore } from "./users.ts";

/**
 * The two pages on which a person decides: who they are, and whether a program of others may act for them. oidc-provider
 * sends the browser here with a signed cookie for the path of this one interaction, and takes it back with the outcome.
 *
 * A form counts only with that cookie, the signature that its page was given, and from a page of this origin. Whatever is
 * wrong with a name and password is said in the same words, after the same work.
 */
export interface InteractionParts {
  readonly definition: ProviderDefinition;
  readonly issuer: string;
  readonly title: string;
  readonly secret: ProviderSecret;
  readonly users: UserStore;
  readonly limits: SignInLimits;
  readonly errors: typeof errors;
  /** Who asks, as far as the network tells. */
  readonly addressOf: (req: IncomingMessage) => string;
  readonly onSignIn: (outcome: SignInOutcome) => void;
}

export interface SignInOutcome {
  readonly result: "signed in" | "refused" | "limited";
  readonly client: string;
  readonly address: string;
}

/** The path of an interaction, without the provider's own. */
export const interactionPattern = /^\/interaction\/([A-Za-z0-9_-]{1,64})$/;

interface Turn {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly provider: Provider;
  readonly interaction: Interaction;
  readonly view: InteractionView;
}

export async function serveInteraction(
  parts: InteractionParts,
  provider: Provider,
  uid: string,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const turn = await beginTurn(parts, provider, uid, req, res);
  if (!turn) return sendPage(res, expiredPage(parts.title));
  if (req.method === "GET" || req.method === "HEAD") return show(parts, turn);
  if (req.method !== "POST") {
    res.writeHead(405, { allow: "GET, HEAD, POST" }).end();
    return;
  }
  const fields = await readForm(req);
  const isOurs =
    fields !== undefined &&
    isSameOrigin(req, new URL(parts.issuer).origin) &&
    parts.secret.verify("interaction", formText(uid, turn.interaction), fields.get("csrf") ?? "");
  if (!isOurs) return sendPage(res, { ...expiredPage(parts.title), status: 403 });
  if (fields.get("do") === "cancel")
    return finish(turn, { error: "access_denied", error_description: "the person said no" });
  if (turn.interaction.prompt.name === "login") return signIn(parts, turn, fields);
  return consent(turn, fields);
}

async function beginTurn(
  parts: InteractionParts,
  provider: Provider,
  uid: string,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<Turn | undefined> {
  let interaction: Interaction;
  try {
    interaction = await provider.interactionDetails(req, res);
  } catch (thrown) {
    if (thrown instanceof parts.errors.SessionNotFound) return undefined;
    throw thrown;
  }
  if (interaction.uid !== uid) return undefined;
  const client = (await provider.Client.find(String(interaction.params.client_id))) as Client | undefined;
  if (!client) return undefined;
  const view: InteractionView = {
    title: parts.title,
    client: client.clientName ?? client.clientId,
    action: `${new URL(parts.issuer).pathname}/interaction/${uid}`,
    csrf: parts.secret.sign("interaction", formText(uid, interaction)),
    target: sourceOf(interaction.params.redirect_uri),
  };
  return { req, res, provider, interaction, view };
}

/** A page of one step says nothing about another. */
function formText(uid: string, { prompt }: Interaction): string {
  return `${prompt.name} ${uid}`;
}

async function show(parts: InteractionParts, { interaction, view, res }: Turn): Promise<void> {
  const { prompt, params, session } = interaction;
  if (prompt.name === "login") {
    const hint = params.login_hint;
    return sendPage(res, signInPage(view, typeof hint === "string" ? hint.slice(0, 254) : ""));
  }
  const user = await parts.users.find(session?.accountId ?? "");
  return sendPage(res, consentPage(view, user?.name ?? "", wishesOf(interaction, parts.definition)));
}

const wrongCredentials: SignInFault = { message: "The user name or the password is wrong.", status: 401 };

async function signIn(parts: InteractionParts, turn: Turn, fields: ReadonlyMap<string, string>): Promise<void> {
  const { req, res, view, interaction } = turn;
  const name = (fields.get("name") ?? "").trim().slice(0, 254);
  const address = parts.addressOf(req);
  const tell = (result: SignInOutcome["result"]) =>
    parts.onSignIn({ result, client: String(interaction.params.client_id), address });
  const refuse = (fault: SignInFault) => sendPage(res, signInPage(view, name, fault));
  const waitMs = await parts.limits.take(name, address);
  if (waitMs > 0) {
    tell("limited");
    const retryAfter = Math.ceil(waitMs / 1000);
    return refuse({ message: "There were too many tries. Wait a little, then try again.", status: 429, retryAfter });
  }
  try {
    const user = await parts.users.signIn(name, fields.get("password") ?? "");
    if (!user) {
      tell("refused");
      return refuse(wrongCredentials);
    }
    await parts.limits.forgive(name, address);
    tell("signed in");
    return finish(turn, { login: { accountId: user.id, amr: ["pwd"], remember: false } }, false);
  } catch (thrown) {
    if (!isError(thrown, "PASSWORDS_BUSY")) throw thrown;
    return refuse({ message: thrown.message, status: 503, retryAfter: 1 });
  }
}

async function consent(turn: Turn, fields: ReadonlyMap<string, string>): Promise<void> {
  const { provider, interaction, res, view } = turn;
  if (fields.get("do") !== "allow") return sendPage(res, expiredPage(view.title));
  const { grantId, session, params } = interaction;
  const known: Grant | undefined = grantId === undefined ? undefined : await provider.Grant.find(grantId);
  const grant =
    known ?? new provider.Grant({ accountId: session?.accountId as string, clientId: String(params.client_id) });
  const { scopes, claims, resources } = missingOf(interaction);
  if (scopes.length > 0) grant.addOIDCScope(scopes.join(" "));
  if (claims.length > 0) grant.addOIDCClaims(claims);
  for (const [resource, wanted] of resources) grant.addResourceScope(resource, wanted.join(" "));
  return finish(turn, { consent: { grantId: await grant.save() } });
}

function finish(
  { provider, req, res }: Turn,
  result: InteractionResults,
  mergeWithLastSubmission = !("error" in result),
): Promise<void> {
  return provider.interactionFinished(req, res, result, { mergeWithLastSubmission });
}

function missingOf({ prompt: { details } }: Interaction) {
  const {
    missingOIDCScope = [],
    missingOIDCClaims = [],
    missingResourceScopes = {},
  } = details as {
    missingOIDCScope?: string[];
    missingOIDCClaims?: string[];
    missingResourceScopes?: Record<string, string[]>;
  };
  return { scopes: missingOIDCScope, claims: missingOIDCClaims, resources: Object.entries(missingResourceScopes) };
}

/** What a program asks for, in words. */
function wishesOf(interaction: Interaction, { scopes: declared }: ProviderDefinition): readonly string[] {
  const { scopes, resources } = missingOf(interaction);
  const asked = [...scopes, ...resources.flatMap(([, wanted]) => wanted)];
  return asked.flatMap((scope) =>
    scope === "openid" ? [] : [ownWords[scope] ?? declared.get(scope)?.description ?? scope],
  );
}

const ownWords: Readonly<Record<string, string>> = {
  profile: "See your name",
  email: "See your e-mail address",
  offline_access: "Act for you while you are away, until you sign out of it",
};
