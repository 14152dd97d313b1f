import assert from "node:assert/strict";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { afterEach, describe, mock, test } from "node:test";
import fc from "fast-check";
import { raw } from "../../service/index.ts";
import { createAccessLog } from "../../telemetry/index.ts";
import { createMemoryDestination } from "../../telemetry/testing.ts";
import type { Gateway, GatewayOptions } from "../gateway.ts";
import { get, quotasOf } from "../rate-limit/rate-limit.fixture.ts";
import { ask, request, testGateway } from "../testing.ts";
import { addressGroup, compileClientOf, plainAddress } from "./address.ts";
import { parseForwarded } from "./address-forwarded.ts";
import type { TrustedProxiesOptions } from "./trusted-proxies.ts";
import { compileTrustedProxies } from "./trusted-proxies.ts";

const clientOf = (options: TrustedProxiesOptions, peer: string, headers: IncomingHttpHeaders) =>
  compileTrustedProxies(options)?.find(peer, headers);
const addressOf = (options: TrustedProxiesOptions, peer: string, forwardedFor: string) =>
  clientOf(options, peer, { "x-forwarded-for": forwardedFor })?.address;

describe("who the client is", () => {
  const ours = ["10.0.0.0/8", "fd00::/8", "192.0.2.7"];

  test("the first from the right that is not ours, whatever the client wrote further left", () => {
    for (const [header, client] of [
      ["203.0.113.9", "203.0.113.9"],
      ["1.1.1.1, 203.0.113.9", "203.0.113.9"],
      ["10.0.0.1, 1.1.1.1, 203.0.113.9, 10.1.2.3, 192.0.2.7", "203.0.113.9"],
      ["127.0.0.1,203.0.113.9:4711", "203.0.113.9"],
      ["2001:db8::1", "2001:db8::1"],
      ["[2001:db8::1]:4711", "2001:db8::1"],
      ["::ffff:203.0.113.9", "203.0.113.9"],
      ["1.1.1.1,   203.0.113.9  ,10.0.0.9", "203.0.113.9"],
    ] as const) {
      assert.equal(addressOf(ours, "10.0.0.5", header), client, header);
      assert.equal(addressOf(ours, "fd00::5", header), client, header);
    }
  });

  test("what is no address hides all that stands left of it; the proxy that wrote it is what is known", () => {
    for (const header of [
      "unknown",
      "",
      "_hidden",
      "1.1.1.1, unknown",
      "1.1.1.1, 999.1.1.1",
      "1.1.1.1, ::1%eth0 x",
      "<script>",
    ]) {
      assert.equal(addressOf(ours, "10.0.0.5", header), "10.0.0.5", header);
    }
    assert.equal(addressOf(ours, "10.0.0.5", "1.1.1.1, unknown, 10.0.0.9"), "10.0.0.9");
    assert.equal(clientOf(ours, "10.0.0.5", {})?.address, "10.0.0.5");
  });

  test("nothing that a peer says counts unless it is ours", () => {
    for (const peer of ["203.0.113.9", "11.0.0.1", "192.0.2.8", "fe80::1", "", "not an address"]) {
      assert.equal(clientOf(ours, peer, { "x-forwarded-for": "1.1.1.1", forwarded: "for=1.1.1.1" }), undefined, peer);
    }
  });

  test("a chain longer than 32 is followed no further", () => {
    const header = ["1.1.1.1", ...Array.from({ length: 40 }, (_, i) => `10.0.0.${i}`)].join(",");
    assert.equal(addressOf(ours, "10.0.0.5", header), "10.0.0.8");
  });

  test("by a number of proxies: the entry of the outermost; fewer entries than proxies are believed in nothing", () => {
    assert.equal(addressOf(1, "198.51.100.1", "1.1.1.1, 203.0.113.9"), "203.0.113.9");
    assert.equal(addressOf(2, "198.51.100.1", "1.1.1.1, 203.0.113.9, 198.51.100.2"), "203.0.113.9");
    assert.equal(addressOf(2, "198.51.100.1", "1.1.1.1"), undefined);
    assert.equal(addressOf(1, "198.51.100.1", "unknown"), "198.51.100.1");
    assert.equal(compileTrustedProxies(0), undefined);
    assert.equal(compileTrustedProxies([]), undefined);
  });

  test("Forwarded is read only where it is declared, and X-Forwarded-For then is not", () => {
    const both = { forwarded: "for=203.0.113.9;proto=https;host=shop.example", "x-forwarded-for": "1.1.1.1" };
    assert.deepEqual(clientOf({ proxies: ours, header: "forwarded" }, "10.0.0.5", both), {
      address: "203.0.113.9",
      protocol: "https",
      host: "shop.example",
    });
    assert.equal(clientOf(ours, "10.0.0.5", both)?.address, "1.1.1.1");
    const chain = 'for="[2001:db8::1]:80", for=203.0.113.9;by=10.0.0.1;proto=http, for=10.0.0.1;proto=https';
    assert.deepEqual(clientOf({ proxies: ours, header: "forwarded" }, "10.0.0.5", { forwarded: chain }), {
      address: "203.0.113.9",
      protocol: "http",
      host: undefined,
    });
  });

  test("protocol and host are the outermost trusted proxy's words, and only such as can be", () => {
    const facts = (headers: IncomingHttpHeaders) =>
      clientOf({ proxies: ours, host: true }, "10.0.0.5", { "x-forwarded-for": "1.1.1.1, 203.0.113.9", ...headers });
    assert.equal(facts({ "x-forwarded-proto": "https" })?.protocol, "https");
    assert.equal(facts({ "x-forwarded-proto": "http, https" })?.protocol, "https");
    assert.equal(facts({ "x-forwarded-proto": "javascript" })?.protocol, undefined);
    assert.equal(facts({ "x-forwarded-host": "Shop.Example:8443" })?.host, "shop.example:8443");
    for (const host of ["a b", "evil/..", "a@b", "x".repeat(300), "[::1", "<x>"]) {
      assert.equal(facts({ "x-forwarded-host": host })?.host, undefined, host);
    }
  });

  test("X-Forwarded-Host counts only where the proxies are said to write it: others pass on the client's own", () => {
    const headers = { "x-forwarded-for": "203.0.113.9", "x-forwarded-host": "internal.example" };
    for (const options of [ours, 1, { proxies: ours }, { proxies: ours, host: false }]) {
      assert.equal(clientOf(options, "10.0.0.5", headers)?.host, undefined);
    }
    assert.equal(clientOf({ proxies: 1, host: true }, "10.0.0.5", headers)?.host, "internal.example");
  });

  test("of a chain that a client made long, no more than the last 32 entries are looked at, and those once", () => {
    const long = `${"for=1.1.1.1,".repeat(300)}for=203.0.113.9`;
    assert.deepEqual(parseForwarded(long, 32).length, 32);
    assert.equal(parseForwarded('for=a,for="b,c",for=d', 2).at(0)?.get("for"), "b,c");
    for (const header of ["x-forwarded-for", "forwarded"] as const) {
      const text =
        header === "forwarded" ? `${"a=1,".repeat(1_000)}for=203.0.113.9` : `${",".repeat(15_000)}203.0.113.9`;
      let asked = 0;
      const headers = Object.defineProperty({}, header, {
        get: () => {
          asked++;
          return text;
        },
      });
      const req = { headers, socket: { remoteAddress: "10.0.0.5" } } as unknown as IncomingMessage;
      const find = compileClientOf(compileTrustedProxies({ proxies: ours, header }));
      const trimmed = mock.method(String.prototype, "trim");
      const facts = [find(req), find(req), find(req)];
      trimmed.mock.restore();
      assert.ok(trimmed.mock.callCount() <= 200, `${header}: ${trimmed.mock.callCount()}`);
      assert.deepEqual([facts[0]?.address, facts[0] === facts[2], asked], ["203.0.113.9", true, 1]);
    }
  });

  test("wrong proxies stop the start with the remedy", () => {
    for (const [options, says] of [
      [["10.0.0.0/33"], /"10.0.0.0\/33" is no address or network/],
      [["proxy.example"], /no address or network/],
      [["0.0.0.0/0"], /trusts everybody/],
      [["::/0"], /trusts everybody/],
      [["10.0.0.0/-1"], /no address/],
      [1.5, /1.5 proxies cannot be/],
      [33, /33 proxies cannot be/],
      [{ proxies: 1, host: "yes" } as never, /host is true where the proxies write X-Forwarded-Host/],
      [{ proxies: 1, header: "forwarded", host: true }, /host is part of Forwarded already/],
      [{ proxies: 1, header: "x-real-ip" } as never, /the header is "x-forwarded-for" or "forwarded"/],
      ["10.0.0.0/8" as never, /write a list/],
    ] as const) {
      assert.throws(() => compileTrustedProxies(options), says);
    }
  });
});

describe("the texts of addresses", () => {
  test("an IPv6 client is one for all of its first 64 bits, an IPv4 one for itself", () => {
    assert.equal(addressGroup("2001:db8:1:2:3:4:5:6"), addressGroup("2001:db8:1:2::"));
    assert.notEqual(addressGroup("2001:db8:1:2::"), addressGroup("2001:db8:1:3::"));
    assert.equal(addressGroup("::1"), "0:0:0:0::/64");
    assert.equal(addressGroup("64:ff9b::203.0.113.9"), "64:ff9b:0:0::/64");
    assert.notEqual(addressGroup("203.0.113.9"), addressGroup("203.0.113.10"));
    assert.equal(addressGroup(""), "unknown");
    assert.equal(addressGroup("1.2.3"), "unknown");
  });

  test("the same address in other clothes is the same", () => {
    for (const text of ["::ffff:203.0.113.9", "::FFFF:203.0.113.9", "::ffff:cb00:7109"]) {
      assert.equal(plainAddress(text), "203.0.113.9", text);
    }
    assert.equal(plainAddress("fe80::1%eth0"), "fe80::1");
    fc.assert(
      fc.property(fc.ipV6(), (address) =>
        assert.match(addressGroup(plainAddress(address)), /^(?:[0-9a-f]{1,4}:){4}:\/64$|^\d+\.\d+\.\d+\.\d+$/),
      ),
    );
  });

  test("Forwarded: quotes, escapes, capitals; what is broken hides nothing that stands right of it", () => {
    const read = (text: string) => parseForwarded(text).map((each) => Object.fromEntries(each));
    assert.deepEqual(read('For="[2001:db8::1]:80"; Proto=HTTPS , for=a'), [
      { for: "[2001:db8::1]:80", proto: "HTTPS" },
      { for: "a" },
    ]);
    assert.deepEqual(read('for="a\\"b,c";host="x"'), [{ for: 'a"b,c', host: "x" }]);
    assert.deepEqual(read("for=a;for=b"), [{ for: "a" }]);
    assert.deepEqual(read('for="unterminated, for=203.0.113.9'), [{}, { for: "203.0.113.9" }]);
    assert.deepEqual(read("for=a b, for=c"), [{}, { for: "c" }]);
    assert.deepEqual(read(""), []);
    assert.equal(
      parseForwarded(`${"for=a,".repeat(5000)}for=z`)
        .at(-1)
        ?.get("for"),
      "z",
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        assert.equal(
          parseForwarded(`${text.replaceAll('"', "")}, for=203.0.113.9`)
            .at(-1)
            ?.get("for"),
          "203.0.113.9",
        );
      }),
    );
  });
});

describe("through the gateway", () => {
  const running: Gateway[] = [];
  afterEach(async () => {
    for (const gateway of running.splice(0)) await gateway.stop();
  });
  const open = async (methods: Parameters<typeof testGateway>[0], options: Partial<GatewayOptions>) => {
    const gateway = testGateway(methods, options);
    running.push(gateway);
    const { port } = await gateway.start();
    return (path: string, headers: Record<string, string> = {}) => ask(port, request(`GET ${path}`, headers));
  };
  const limits = [{ quota: 2, window: "1m", by: "address" }] as const;

  test("a client that makes up another address each time has one quota all the same", async () => {
    const ask = await open({ a: get("/a") }, quotasOf({ limits }));
    const answers = [];
    for (let i = 0; i < 10; i++) {
      const ip = `198.51.100.${i}`;
      answers.push(
        await ask("/a", { "X-Forwarded-For": ip, Forwarded: `for=${ip}`, "X-Real-IP": ip, "CF-Connecting-IP": ip }),
      );
    }
    assert.equal(answers.filter(({ status }) => status === 200).length, 2);
  });

  test("behind a trusted proxy each client has a quota, and cannot choose which", async () => {
    const ask = await open({ a: get("/a") }, { ...quotasOf({ limits }), trustedProxies: ["127.0.0.1"] });
    const from = async (chain: string) => (await ask("/a", { "X-Forwarded-For": chain })).status;
    assert.deepEqual(
      [await from("203.0.113.1"), await from("9.9.9.9, 203.0.113.1"), await from("8.8.8.8, 203.0.113.1")],
      [200, 200, 429],
    );
    assert.equal(await from("203.0.113.1, 203.0.113.2"), 200);
    const groups = [await from("2001:db8::1"), await from("2001:db8::2"), await from("2001:db8::ffff:1:2:3")];
    assert.deepEqual(groups, [200, 200, 429]);
  });

  test("raw handlers and mounts see what the gateway knows, never what a client made up", async () => {
    const made = {
      "X-Forwarded-For": "1.1.1.1",
      "X-Forwarded-Proto": "https",
      "X-Forwarded-Host": "evil.example",
      "X-Forwarded-Port": "1",
      "X-Forwarded-Prefix": "/evil",
      "X-Real-IP": "1.1.1.1",
      "True-Client-IP": "1.1.1.1",
      Forwarded: "for=1.1.1.1",
      X_Forwarded_For: "1.1.1.1",
      "X-Harmless": "yes",
    };
    const seen = {
      method: raw({ http: "GET /seen", access: "public" }),
      handle: ({ headers }: { headers: object }) => ({ body: JSON.stringify(headers) }),
    };
    const mounts: GatewayOptions["mounts"] = [
      {
        path: "/old",
        access: "public",
        handler: (req, res) => res.end(JSON.stringify({ ...req.headers, raw: req.rawHeaders.join(" ") })),
      },
    ];
    const ask = await open({ seen }, { mounts });
    for (const path of ["/seen", "/old/x"]) {
      const { body } = await ask(path, made);
      const headers = JSON.parse(body);
      assert.equal(headers["x-forwarded-for"], "127.0.0.1", path);
      assert.equal(headers["x-forwarded-proto"], "http");
      assert.equal(headers["x-harmless"], "yes");
      assert.doesNotMatch(body, /1\.1\.1\.1|evil/);
    }
    const proxied = await open({ seen }, { trustedProxies: { proxies: 1, host: true } });
    const { body } = await proxied("/seen", { ...made, "X-Forwarded-For": "9.9.9.9, 203.0.113.1" });
    const headers = JSON.parse(body);
    assert.deepEqual(
      [headers["x-forwarded-for"], headers["x-forwarded-proto"], headers["x-forwarded-host"]],
      ["203.0.113.1", "https", "evil.example"],
    );
  });

  test("limits are told to mounts' clients too", async () => {
    const mounts: GatewayOptions["mounts"] = [
      { path: "/old", access: "public", handler: (_req, res) => res.end("x") },
      { path: "/free", access: "public", limits: false, handler: (_req, res) => res.end("x") },
    ];
    const ask = await open({}, { ...quotasOf({ limits }), mounts });
    const answers = [await ask("/old/a"), await ask("/old/b"), await ask("/old/c")];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 429],
    );
    assert.match(answers[0]?.headers.ratelimit ?? "", /^"address-1m";r=1;/);
    assert.equal((await ask("/free/a")).headers.ratelimit, undefined);
  });

  test("the access log names the client, not the proxy, and not what a client made up", async () => {
    const destination = createMemoryDestination();
    const accessLog = createAccessLog({ sample: 1, destination });
    const ask = await open({ a: get("/a") }, { accessLog, trustedProxies: ["127.0.0.1"] });
    await ask("/a", { "X-Forwarded-For": "1.1.1.1, 203.0.113.77" });
    await accessLog.flush();
    assert.match(destination.text, /203\.0\.113\.77/);
    assert.doesNotMatch(destination.text, /1\.1\.1\.1|127\.0\.0\.1/);
    await accessLog.close();
  });
});
