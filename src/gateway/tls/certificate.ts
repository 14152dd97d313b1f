import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";

/** Two PEM files. */
export interface TlsPair {
  readonly certificate: string;
  readonly key: string;
}

/** A pair that was read and found to be one. */
export interface Certificate {
  /** PEM, with its chain. */
  readonly certificate: string;
  readonly key: string;
  /** In small letters; `*.example.org` covers one label. */
  readonly names: readonly string[];
  /** What people know it by: its first name. */
  readonly label: string;
  readonly expiresAt: number;
}

const fileBytesMax = 1024 * 1024;

/** Undefined with the reason in `problems`. What was read goes into `files`. */
export async function readCertificate(
  pair: TlsPair,
  now: number,
  files: Map<string, string>,
  problems: string[],
): Promise<Certificate | undefined> {
  const certificate = await readPem(pair.certificate, files, problems);
  const key = await readPem(pair.key, files, problems);
  if (certificate === undefined || key === undefined) return undefined;
  const wrong = (what: string): undefined => void problems.push(`gateway: tls: ${pair.certificate}: ${what}`);
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(certificate);
  } catch {
    return wrong("it is no certificate in PEM; put the server's own certificate first.");
  }
  try {
    if (!leaf.checkPrivateKey(createPrivateKey(key))) {
      return wrong(`the key in ${pair.key} is that of another certificate; name the two that belong together.`);
    }
  } catch {
    return wrong(`${pair.key} holds no private key in PEM without a passphrase.`);
  }
  const expiresAt = Date.parse(leaf.validTo);
  if (expiresAt <= now) return wrong(`it expired on ${new Date(expiresAt).toISOString()}; renew it.`);
  const names = namesOf(leaf);
  const label = names[0] ?? leaf.subject.split("\n").at(-1) ?? pair.certificate;
  return { certificate, key, names, label, expiresAt };
}

export async function readAuthority(
  path: string,
  files: Map<string, string>,
  problems: string[],
): Promise<string | undefined> {
  const text = await readPem(path, files, problems);
  if (text === undefined) return undefined;
  try {
    new X509Certificate(text);
    return text;
  } catch {
    problems.push(`gateway: tls.clients.authority: ${path}: it is no certificate in PEM.`);
    return undefined;
  }
}

/** Whether a file holds something else now. One that cannot be read counts as changed. */
export async function hasChanged(files: ReadonlyMap<string, string>): Promise<boolean> {
  for (const [path, text] of files) {
    const now = await readFile(path, "utf8").catch(() => undefined);
    if (now !== text) return true;
  }
  return false;
}

/** The certificate that carries a name: exactly, else by a wildcard; else the first. */
export function pickByName<C extends Certificate>(certificates: readonly C[], name: string): C | undefined {
  const host = name.toLowerCase();
  const wildcard = `*${host.slice(host.indexOf("."))}`;
  return (
    certificates.find(({ names }) => names.includes(host)) ??
    (host.includes(".") ? certificates.find(({ names }) => names.includes(wildcard)) : undefined) ??
    certificates[0]
  );
}

async function readPem(path: string, files: Map<string, string>, problems: string[]): Promise<string | undefined> {
  try {
    const text = await readFile(path, "utf8");
    if (text.length > fileBytesMax) throw new Error("it is larger than 1 MiB");
    files.set(path, text);
    return text;
  } catch (cause) {
    problems.push(`gateway: tls: ${path} cannot be read: ${(cause as Error).message}`);
    return undefined;
  }
}

/** `DNS:shop.example, DNS:*.shop.example, IP Address:10.0.0.1`. */
function namesOf({ subjectAltName = "" }: X509Certificate): string[] {
  const names: string[] = [];
  for (const part of subjectAltName.split(", ")) {
    const [, name] = /^(?:DNS|IP Address):([^"\s]+)$/.exec(part) ?? [];
    if (name !== undefined) names.push(name.toLowerCase());
  }
  return names;
}
