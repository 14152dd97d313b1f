import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hello, repository, run, workshop } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-describe-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("routes lists verb, path, method and access, by path", async () => {
  const { code, out, err } = await run(["routes", "--app", workshop]);
  assert.deepEqual({ code, err }, { code: 0, err: "" });
  assert.equal(
    out,
    [
      "VERB    PATH        METHOD           ACCESS",
      "POST    /files      tools.takeFile   authenticated",
      "GET     /me         tools.whoAmI     authenticated",
      "GET     /tools      tools.listTools  public",
      "DELETE  /tools/:id  tools.dropTool   tools:write",
      "GET     /tools/:id  tools.getTool    public",
      "",
    ].join("\n"),
  );
});

test("routes tells where routes to the outside and mounts lead", async () => {
  const { out } = await run(["routes", "--app", `${repository}src/cli/fixtures/outside/app.ts`]);
  assert.equal(
    out,
    [
      "VERB      PATH             METHOD                          ACCESS",
      "*         /admin           a mount                         role admin",
      "*         /old/*           redirect https://new.example/*  public",
      "*         /stock/*         split stock                     stock:read",
      "GET,HEAD  /stock/public/*  upstream stable                 public",
      "",
    ].join("\n"),
  );
});

test("routes --json is data", async () => {
  const { out } = await run(["routes", "--json", "--app", hello]);
  assert.deepEqual(JSON.parse(out), [{ verb: "GET", path: "/hello/:name", method: "greeter.greet", access: "public" }]);
});

test("model --json is the Model, the same each time", async () => {
  const { code, out } = await run(["model", "--json", "--app", workshop]);
  assert.equal(code, 0);
  const model = JSON.parse(out);
  assert.deepEqual([model.plinth, model.name, model.version], [1, "workshop", "1.2.3"]);
  assert.equal(model.services[0].methods.length, 6);
  assert.equal((await run(["model", "--json", "--app", workshop])).out, out);
});

test("model shows a person services, routes, events, needs and groups", async () => {
  const { out } = await run(["model", "--app", workshop]);
  for (const line of [
    "workshop 1.2.3",
    "tools",
    "  getTool  GET /tools/:id",
    "  listTools (stream)  GET /tools",
    "  breakTool",
    "  takeFile (raw)  POST /files",
    "  publishes: ToolBroken",
    "  subscribes to: tools.ToolBroken",
    "  needs: db (database)",
    "  all: gateway, tools",
  ]) {
    assert.ok(out.split("\n").includes(line), line);
  }
});

test("openapi prints the document, or writes it with its folders", async () => {
  const { code, out } = await run(["openapi", "--app", workshop]);
  assert.equal(code, 0);
  assert.match(JSON.parse(out).openapi, /^3\.1\./);
  const written = await run(["openapi", "--app", workshop, "--out", "api/openapi.json"], {
    cwd: folder,
  });
  assert.deepEqual(written, { code: 0, out: "", err: "wrote api/openapi.json\n" });
  assert.equal(readFileSync(join(folder, "api/openapi.json"), "utf8"), out);
});

test("a file that cannot be written is refused by name", async () => {
  const { code, err } = await run(["openapi", "--app", workshop, "--out", "."], { cwd: folder });
  assert.equal(code, 2);
  assert.match(err, /^error: --out \.: it cannot be written \(EISDIR.*\); name another file\.\n$/);
});

test("a wrong app is told problem by problem, and is exit code 2", async () => {
  const { code, out, err } = await run(["model", "--app", join(import.meta.dirname, "../fixtures/wrong-app.ts")]);
  assert.deepEqual({ code, out }, { code: 2, out: "" });
  const lines = err.trimEnd().split("\n");
  assert.ok(lines.length >= 3, err);
  for (const line of lines) assert.match(line, /^error: .+[.]$/);
  assert.match(err, /greeter\.greet: methods: the contract declares it but the service has no handler/);
});
