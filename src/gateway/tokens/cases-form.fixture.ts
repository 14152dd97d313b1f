import { b64, compact, part, signature } from "./forge.fixture.ts";
import type { TokenCase, TokenWorld } from "./matrix.fixture.ts";
import { bearer, ownToken } from "./matrix.fixture.ts";

/** Attacks on how a token is read: two readers must not see two things, and none may be kept busy. */
export async function formCases(world: TokenWorld): Promise<TokenCase[]> {
  const good = await ownToken(world);
  return [...encodings(world, good), ...documents(world), ...doubles(world), ...bombs(world, good), ...headers(good)];
}

/** A text that some decoders take for the same bytes: the last character has bits to spare. */
function loose(text: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const at = alphabet.indexOf(text.at(-1) as string);
  return text.slice(0, -1) + alphabet[at ^ 1];
}

/** A payload or header whose text ends with bits to spare. */
function padded(value: Record<string, unknown>): Record<string, unknown> {
  for (let i = 0; ; i++) {
    const made = { ...value, filler: "x".repeat(i) };
    if (part(made).length % 4 !== 0) return made;
  }
}

function encodings(world: TokenWorld, good: string): TokenCase[] {
  const group = "encodings";
  const [head, body, mark] = good.split(".") as [string, string, string];
  const looseHead = part(padded(world.header("own")));
  const looseBody = part(padded(world.payload("own")));
  const signed = (text: string) => `${text}.${b64(signature(text, "ES256", world.own.key))}`;
  const tokens: Record<string, string> = {
    "padding behind the signature": `${good}=`,
    "two parts": `${head}.${body}`,
    "one part": head,
    "four parts": `${good}.x`,
    "five parts, as an encrypted one has": `${good}.x.y`,
    "an empty signature": `${head}.${body}.`,
    "an empty payload": `${head}..${mark}`,
    "an empty header": `.${body}.${mark}`,
    "nothing but dots": "..",
    "the standard alphabet": good.replace(/[-_]/g, (c) => (c === "-" ? "+" : "/")).replace(/^./, "+"),
    "a tilde in it": `${head}~.${body}.${mark}`,
    "dots in percent": good.replaceAll(".", "%2E").replaceAll("%", "~"),
    "another last character of the signature": `${head}.${body}.${loose(mark)}`,
    "another last character of the header, signed": signed(`${loose(looseHead)}.${part(world.payload("own"))}`),
    "another last character of the payload, signed": signed(`${part(world.header("own"))}.${loose(looseBody)}`),
    "one character too many in the header": `${head}A.${body}.${mark}`,
    "one character too many in the payload": `${head}.${body}A.${mark}`,
    "parts changed round": `${body}.${head}.${mark}`,
    "the header twice": `${head}.${head}.${mark}`,
    "encoded twice": b64(good),
    "in small letters": good.toLowerCase(),
    "a word": "admin",
    "a number": "12345",
    null: "null",
  };
  const text = (value: string) => Buffer.from(value, "utf8");
  const inHeader: Record<string, string> = {
    "padding inside": `Bearer ${head}=.${body}.${mark}`,
    "a blank inside": `Bearer ${head}. ${body}.${mark}`,
    "a tab inside": `Bearer ${head}.\t${body}.${mark}`,
    "quotes around": `Bearer "${good}"`,
    "JSON serialization": `Bearer {"protected":"${head}","payload":"${body}","signature":"${mark}"}`,
    "letters that are not ASCII": `Bearer ${head}.${body}.${mark}\u00e9`,
    "a full-width dot": `Bearer ${text(`${head}\uff0e${body}.${mark}`).toString()}`,
    "a comma behind": `Bearer ${good},`,
    "a second token behind a comma": `Bearer ${good}, Bearer ${good}`,
  };
  return [
    ...Object.entries(tokens).map(([name, token]) => ({ group, name, headers: bearer(token) })),
    ...Object.entries(inHeader).map(([name, Authorization]) => ({
      group,
      name,
      headers: { Authorization },
      status: 400,
      reason: "AUTHORIZATION_MALFORMED",
      challenge: "Bearer invalid_request",
    })),
  ];
}

/** Parts that are no JSON objects, signed by the app itself. */
function documents(world: TokenWorld): TokenCase[] {
  const header = JSON.stringify(world.header("own"));
  const payload = JSON.stringify(world.payload("own"));
  const spoilt = (text: string): Record<string, string | Uint8Array> => ({
    "a list": `[${text}]`,
    "a text": JSON.stringify(text),
    null: "null",
    true: "true",
    "a number": "1",
    nothing: " ",
    "a comma too many": text.replace("}", ",}"),
    "something behind": `${text}x`,
    "a second object behind": `${text}${text}`,
    "a NUL behind": `${text}\u0000`,
    "a byte order mark": `\ufeff${text}`,
    "single quotes": text.replaceAll('"', "'"),
    "a comment": text.replace("{", "{/**/"),
    "bytes that are no UTF-8": Buffer.concat([
      Buffer.from(text.slice(0, -1)),
      Buffer.from(',"x":"\xff\xfe"}', "latin1"),
    ]),
    "an overlong letter": Buffer.concat([Buffer.from(text.slice(0, -1)), Buffer.from(',"x":"\xc0\xae"}', "latin1")]),
    "in UTF-16": Buffer.from(text, "utf16le"),
    "deeper than 8 levels": text.replace("{", `{"x":${"[".repeat(8)}${"]".repeat(8)},`),
    "NaN in it": text.replace("{", '{"x":NaN,'),
  });
  const group = "JSON";
  return [
    ...Object.entries(spoilt(header)).map(([name, text]) => ({
      group,
      name: `the header: ${name}`,
      headers: bearer(compact(text, payload, world.own)),
    })),
    ...Object.entries(spoilt(payload)).map(([name, text]) => ({
      group,
      name: `the payload: ${name}`,
      headers: bearer(compact(header, text, world.own)),
    })),
  ];
}

/** Names that stand twice, once as an attacker wants it and once as we do; signed by the app itself. */
function doubles(world: TokenWorld): TokenCase[] {
  const first = (value: object, name: string, other: unknown) =>
    JSON.stringify(value).replace("{", `{"${name}":${JSON.stringify(other)},`);
  const last = (value: object, name: string, other: unknown) =>
    JSON.stringify(value).replace(/}$/, `,"${name}":${JSON.stringify(other)}}`);
  const inHeader: readonly (readonly [string, unknown])[] = [
    ["alg", "none"],
    ["alg", "ES256"],
    ["kid", "nobody"],
    ["typ", "JWT"],
    ["\\u0061lg", "none"],
    ["al\\u0067", "HS256"],
  ];
  const inPayload: readonly (readonly [string, unknown])[] = [
    ["sub", "admin"],
    ["aud", "warehouse"],
    ["iss", "https://evil.example"],
    ["exp", 0],
    ["scope", "cart:write"],
    ["client_id", "c2"],
    ["s\\u0075b", "admin"],
    ["\\u0073\\u0075\\u0062", "u1"],
  ];
  const group = "duplicate members";
  return [
    ...inHeader.flatMap(([name, other]) =>
      [first, last].map((put) => ({
        group,
        name: `the header: ${name} ${JSON.stringify(other)} ${put.name}`,
        headers: bearer(compact(put(world.header("own"), name, other), world.payload("own"), world.own)),
      })),
    ),
    ...inPayload.flatMap(([name, other]) =>
      [first, last].map((put) => ({
        group,
        name: `the payload: ${name} ${JSON.stringify(other)} ${put.name}`,
        headers: bearer(compact(world.header("own"), put(world.payload("own"), name, other), world.own)),
      })),
    ),
    {
      group,
      name: "the payload: within a member",
      headers: bearer(
        compact(
          world.header("own"),
          last(world.payload("own"), "x", 0).replace('"x":0', '"x":{"a":1,"a":2}'),
          world.own,
        ),
      ),
    },
  ];
}

/** What would cost a careless reader much. Some are larger than a gateway's headers may be, and are told so. */
function bombs(world: TokenWorld, good: string): TokenCase[] {
  const group = "size bombs";
  const { own } = world;
  const with_ = (payload: object | string, header: object | string = world.header("own")) =>
    bearer(compact(header, payload, own));
  const text = JSON.stringify(world.payload("own"));
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`m${i}`, i]));
  return [
    { group, name: "a token of 9,000 characters", headers: with_(world.payload("own", { filler: "x".repeat(6700) })) },
    { group, name: "a token of 15,000 characters", headers: bearer(`${good.slice(0, 50)}${"A".repeat(15_000)}`) },
    {
      group,
      name: "a header of 3,000 characters",
      headers: with_(text, world.header("own", { filler: "x".repeat(2300) })),
    },
    {
      group,
      name: "brackets 2,000 deep",
      headers: with_(text.replace("{", `{"x":${"[".repeat(2000)}${"]".repeat(2000)},`)),
    },
    { group, name: "brackets that never close", headers: with_(`{"x":${"[".repeat(5000)}`) },
    {
      group,
      name: "objects 900 deep",
      headers: with_(text.replace("{", `{"x":${'{"a":'.repeat(900)}1${"}".repeat(900)},`)),
    },
    { group, name: "500 members, one twice", headers: with_(JSON.stringify(many).replace("{", '{"m499":0,')) },
    { group, name: "a number that is infinite", headers: with_(text.replace(/"exp":\d+/, '"exp":1e400')) },
    {
      group,
      name: "a number of 4,000 digits",
      headers: with_(text.replace(/"exp":\d+/, `"exp":1${"0".repeat(4000)}`)),
    },
    { group, name: "5,000 dots", headers: bearer(".".repeat(5000)) },
    { group, name: "4,000 parts", headers: bearer("a.".repeat(2000)) },
    {
      group,
      name: "a signature of 5,000 bytes",
      headers: bearer(`${good.split(".").slice(0, 2).join(".")}.${"A".repeat(6668)}`),
    },
    {
      group,
      name: "an audience of 300",
      headers: with_(world.payload("own", { aud: Array.from({ length: 300 }, (_, i) => `a${i}`) })),
    },
    {
      group,
      name: "an Authorization of 20,000 characters",
      headers: bearer("A".repeat(20_000)),
      status: 431,
      reason: "HEADERS_TOO_LARGE",
      challenge: "",
    },
  ];
}

/** A good token in a header that is wrong, or in a place that is none. */
function headers(good: string): TokenCase[] {
  const group = "header and place";
  const unknown = { reason: "SCHEME_UNKNOWN", challenge: "-" };
  const malformed = { status: 400, reason: "AUTHORIZATION_MALFORMED", challenge: "Bearer invalid_request" };
  const missing = { reason: "TOKEN_MISSING", challenge: "-" };
  const at = (Authorization: string) => ({ headers: { Authorization } });
  return [
    { group, name: "no scheme", ...at(good), ...unknown },
    { group, name: "Basic", ...at("Basic dTpw"), ...unknown },
    { group, name: "Digest", ...at('Digest username="u"'), ...unknown },
    { group, name: "Negotiate", ...at(`Negotiate ${good}`), ...unknown },
    { group, name: "Token", ...at(`Token ${good}`), ...unknown },
    { group, name: "a longer scheme", ...at(`Bearerx ${good}`), ...unknown },
    { group, name: "a colon behind the scheme", ...at(`Bearer: ${good}`), ...unknown },
    { group, name: "a tab behind the scheme", ...at(`Bearer\t${good}`), ...unknown },
    { group, name: "an empty header", ...at(""), ...unknown },
    { group, name: "the scheme alone", ...at("Bearer"), ...malformed },
    { group, name: "the scheme twice", ...at(`Bearer Bearer ${good}`), ...malformed },
    { group, name: "two tokens", ...at(`Bearer ${good} ${good}`), ...malformed },
    { group, name: "a parameter behind", ...at(`Bearer ${good}; scope=all`), ...malformed },
    { group, name: "in the query alone", line: `GET /known?access_token=${good}`, headers: {}, ...missing },
    { group, name: "in a cookie alone", headers: { Cookie: `access_token=${good}; token=${good}` }, ...missing },
    { group, name: "in X-Access-Token alone", headers: { "X-Access-Token": good }, ...missing },
    { group, name: "in Proxy-Authorization alone", headers: { "Proxy-Authorization": `Bearer ${good}` }, ...missing },
    {
      group,
      name: "a user of a proxy's name",
      headers: { "X-User-ID": "admin", "X-Forwarded-User": "admin" },
      ...missing,
    },
    {
      group,
      name: "two headers",
      headers: { ...bearer(good), "Authorization#2": `Bearer ${good}` },
      status: 400,
      reason: "REQUEST_MALFORMED",
      challenge: "",
    },
    { group, name: "a bad one where none is needed", line: "GET /open", headers: bearer(`${good}x`) },
  ];
}
