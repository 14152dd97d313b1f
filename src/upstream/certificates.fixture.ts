import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A throw-away authority, and a certificate of it for `localhost` and 127.0.0.1. */
export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** The path of `ca` as a file. */
  readonly caFile: string;
  dispose(): void;
}

/** Undefined where there is no openssl. */
export function makeCertificates(): Certificates | undefined {
  const folder = mkdtempSync(join(tmpdir(), "plinth-http-"));
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  try {
    openssl("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test ca");
    openssl("req", ...ec, "-keyout", "a.key", "-out", "a.csr", "-subj", "/CN=a", ...names);
    const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    openssl("x509", "-req", "-in", "a.csr", ...by, "-out", "a.pem", "-days", "2", "-copy_extensions", "copy");
  } catch {
    rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
  const read = (name: string) => readFileSync(file(name), "utf8");
  return {
    ca: read("ca.pem"),
    cert: read("a.pem"),
    key: read("a.key"),
    caFile: file("ca.pem"),
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}
