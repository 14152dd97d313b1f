import assert from "node:assert/strict";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { buildModel } from "../../app/index.ts";
import { apiKeys } from "../../identity/index.ts";
import { sampleApp } from "../sample.fixture.ts";
import openapi from "./index.ts";
import { toOpenApi } from "./openapi.ts";

const document = toOpenApi(buildModel(sampleApp)) as Record<string, any>;

test("the document is valid OpenAPI 3.1 by an independent validator", async () => {
  const result = await new Validator().validate(JSON.parse(JSON.stringify(document)));
  assert.deepEqual(result.errors ?? [], []);
  assert.equal(result.valid, true);
});

test("the validator does refuse a broken document", async () => {
  const broken = { ...JSON.parse(JSON.stringify(document)), info: {} };
  assert.equal((await new Validator().validate(broken)).valid, false);
});

test("path parameters, query and body are told apart by route and verb", () => {
  const get = document.paths["/things/{id}"].get;
  assert.deepEqual(
    get.parameters.map((parameter: { name: string; in: string; required: boolean }) => [
      parameter.name,
      parameter.in,
      parameter.required,
    ]),
    [
      ["id", "path", true],
      ["verbose", "query", false],
    ],
  );
  const put = document.paths["/things/{id}"].put;
  assert.deepEqual(Object.keys(put.requestBody.content["application/json"].schema.properties), ["name", "tags"]);
  assert.deepEqual(put.requestBody.content["application/json"].schema.required, ["name"]);
  assert.equal(document.paths["/things"].get.responses["200"].content["application/x-ndjson"] !== undefined, true);
  assert.equal(document.paths["/files/{wildcard}"].post.requestBody.content["*/*"] !== undefined, true);
});

test("declared errors and those of the edge are told with their statuses", () => {
  const put = document.paths["/things/{id}"].put;
  assert.deepEqual(Object.keys(put.responses).sort(), ["204", "400", "401", "403", "404", "422", "default"]);
  assert.match(put.responses["404"].description, /THING_UNKNOWN/);
  assert.deepEqual(put.security, [{ token: ["things:write"] }]);
  assert.deepEqual(document.paths["/things/{id}"].get.security, []);
});

test("where the app takes API keys, one stands in the place of a token", () => {
  const keyed = { ...sampleApp, gateway: { identity: { apiKeys: apiKeys({ header: "X-Things-Key" }) } } };
  const told = toOpenApi(buildModel(keyed)) as Record<string, any>;
  assert.deepEqual(told.components.securitySchemes.apiKey, { type: "apiKey", in: "header", name: "X-Things-Key" });
  const scopes = ["things:write"];
  assert.deepEqual(told.paths["/things/{id}"].put.security, [{ token: scopes }, { apiKey: scopes }]);
  assert.deepEqual(told.paths["/things/{id}"].get.security, []);
  assert.equal(document.components.securitySchemes.apiKey, undefined);
});

test("the same Model gives the same bytes, and the internal methods stay out", () => {
  const first = openapi.generate(buildModel(sampleApp));
  assert.deepEqual(openapi.generate(buildModel(sampleApp)), first);
  assert.doesNotMatch(first[0]?.content ?? "", /internalOnly/);
});

test("what a caller may use up is told, with the headers that say how it stands", async () => {
  const limited = { ...sampleApp, gateway: { ...sampleApp.gateway, limits: [{ quota: 9, window: "1m" as const }] } };
  const document = toOpenApi(buildModel(limited)) as Record<string, any>;
  const { 429: refused } = document.paths["/things/{id}"].get.responses;
  assert.equal(refused.description, "used up: principal-1m");
  assert.deepEqual(Object.keys(refused.headers), ["Retry-After", "RateLimit-Policy", "RateLimit"]);
  assert.equal((await new Validator().validate(JSON.parse(JSON.stringify(document)))).valid, true);
  const free = toOpenApi(buildModel(sampleApp)) as Record<string, any>;
  assert.equal(free.paths["/things/{id}"].get.responses["429"], undefined);
});
