import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { workFolder } from "../build.ts";
import { onCore } from "../program.ts";
import { scarceQuota, scopeNeeded } from "./cargo.ts";
import type { HopProgram, Way } from "./hop-program.ts";

/**
 * Gateways that are no packages of npm, as their packages of Debian: `apt-get install -y nginx-light haproxy`. One worker
 * each, connections to the upstream kept, no access log.
 */
export interface NativeOptions {
  readonly way: Way;
  /** The upstream's port. */
  readonly upstreamPort: number;
  readonly core: number;
  /** PEM: of who signs tokens. */
  readonly publicKey: string;
}

/** Undefined when it is not installed. */
export function versionOf(name: "nginx" | "haproxy"): string | undefined {
  const { stdout, stderr, error } = spawnSync(name, ["-v"], { encoding: "utf8" });
  return error ? undefined : /(\d+\.\d+\.\d+)/.exec(stdout + stderr)?.[1];
}

export async function startNative(name: "nginx" | "haproxy", options: NativeOptions): Promise<HopProgram> {
  const folder = `${workFolder}/hop-${name}-${options.way}`;
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const file = `${folder}/${name}.conf`;
  const key = `${folder}/key.pem`;
  writeFileSync(key, options.publicKey);
  writeFileSync(file, name === "nginx" ? nginxFile(folder, port, options) : haproxyFile(key, port, options));
  const command = name === "nginx" ? ["nginx", "-p", folder, "-c", file] : ["haproxy", "-f", file];
  const [program, args] = onCore(options.core, command);
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  await waitFor(child, port, name);
  return {
    url: `http://127.0.0.1:${port}`,
    cpuUs: async () => cpuUsOf(child.pid as number),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** Without JWT: the open version has none. */
function nginxFile(folder: string, port: number, { way, upstreamPort }: NativeOptions): string {
  const isGuarded = way === "guarded";
  const location = (path: string, limit: string) => `
    location ${path} {
      ${isGuarded ? limit : ""}
      proxy_pass http://orders;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;
    }`;
  return `
daemon off;
user root;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  keepalive_requests 100000000;
  limit_req_zone $http_authorization zone=plenty:10m rate=1000000r/s;
  limit_req_zone $http_authorization zone=scarce:10m rate=${scarceQuota}r/m;
  limit_req_status 429;
  upstream orders {
    server 127.0.0.1:${upstreamPort};
    keepalive 128;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port};
    ${location("/api/", "limit_req zone=plenty burst=1000000 nodelay;")}
    ${location("/scarce/", `limit_req zone=scarce burst=${scarceQuota - 1} nodelay;`)}
  }
}
`;
}

function haproxyFile(key: string, port: number, { way, upstreamPort }: NativeOptions): string {
  const guards = `
  http-request set-var(txn.token) http_auth_bearer
  http-request deny deny_status 401 unless { var(txn.token),jwt_header_query('$.alg') -m str ES256 }
  http-request deny deny_status 401 unless { var(txn.token),jwt_verify("ES256","${key}") -m int 1 }
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 if { var(txn.token),jwt_payload_query('$.exp','int'),sub(txn.now) -m int lt 0 }
  http-request deny deny_status 403 unless { var(txn.token),jwt_payload_query('$.scope') -m sub ${scopeNeeded} }
  acl scarce path_beg /scarce/
  http-request track-sc0 var(txn.token),jwt_payload_query('$.sub') table plenty if !scarce
  http-request track-sc0 var(txn.token),jwt_payload_query('$.sub') table few if scarce
  http-request deny deny_status 429 if !scarce { sc_http_req_rate(0,plenty) gt 1000000000 }
  http-request deny deny_status 429 if scarce { sc_http_req_rate(0,few) gt ${scarceQuota} }`;
  return `
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout client 75s
  timeout server 10s
  http-reuse always
  option forwardfor
backend plenty
  stick-table type string len 64 size 100k expire 2m store http_req_rate(1m)
backend few
  stick-table type string len 64 size 100k expire 2m store http_req_rate(1m)
frontend edge
  bind 127.0.0.1:${port}
  unique-id-format %{+X}o\\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Request-Id
  ${way === "guarded" ? guards : ""}
  default_backend orders
backend orders
  server one 127.0.0.1:${upstreamPort}
`;
}

async function waitFor(child: ChildProcess, port: number, name: string): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if (child.exitCode !== null) throw new Error(`${name} does not start: what it says of its file stands above`);
    const answer = await fetch(`http://127.0.0.1:${port}/api/`).catch(() => undefined);
    if (answer) {
      await answer.arrayBuffer();
      return;
    }
    await sleep(50);
  }
  throw new Error(`${name} does not answer`);
}

/** Of a process and of those that it has started, as the system counts it: in hundredths of a second. */
function cpuUsOf(pid: number): number {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" "),
  );
  const own = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name of a program may have blanks; it stands in brackets.
  const [user, system] = own
    .slice(own.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13);
  const below = children.filter((each) => each.trim() !== "").map((each) => cpuUsOf(Number(each)));
  return (Number(user) + Number(system)) * 10_000 + below.reduce((sum, each) => sum + each, 0);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
