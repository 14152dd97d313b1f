import { register } from "node:module";
import { registerInstrumentations } from "@opentelemetry/instrumentation";
import { ExpressInstrumentation } from "@opentelemetry/instrumentation-express";
import { FastifyInstrumentation } from "@opentelemetry/instrumentation-fastify";
import { HttpInstrumentation } from "@opentelemetry/instrumentation-http";
import { NestInstrumentation } from "@opentelemetry/instrumentation-nestjs-core";
import { startTracing } from "./spans.ts";

/** Loaded before the program, `node --import tracing.js`, as OpenTelemetry asks for it. */
register("@opentelemetry/instrumentation/hook.mjs", import.meta.url);
startTracing();
registerInstrumentations({
  instrumentations: [
    new HttpInstrumentation(),
    new ExpressInstrumentation(),
    new FastifyInstrumentation(),
    new NestInstrumentation(),
  ],
});
