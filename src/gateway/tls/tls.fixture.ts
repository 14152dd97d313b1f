import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** For tests: an authority of its own, and certificates that it signs. Needs the openssl command. */
export interface TestAuthority {
  readonly folder: string;
  /** PEM of the authority. */
  readonly ca: string;
  path(name: string): string;
  read(name: string): string;
  /** Writes `NAME.pem` and `NAME.key`. Names such as "DNS:shop.test,IP:127.0.0.1". */
  issue(name: string, names: string, days?: number): void;
  remove(): void;
}

const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Undefined where there is no openssl. */
export function testAuthority(): TestAuthority | undefined {
  const folder = mkdtempSync(join(tmpdir(), "plinth-tls-"));
  const path = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  try {
    openssl("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test ca");
  } catch {
    rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
  return {
    folder,
    path,
    ca: readFileSync(path("ca.pem"), "utf8"),
    read: (name) => readFileSync(path(name), "utf8"),
    issue(name, names, days = 2) {
      const csr = `${name}.csr`;
      const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=${names}`];
      openssl("req", ...ec, "-keyout", `${name}.key`, "-out", csr, ...subject);
      const signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-copy_extensions", "copy"];
      openssl("x509", "-req", "-in", csr, ...signer, "-out", `${name}.pem`, "-days", String(days));
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
