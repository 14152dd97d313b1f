import "reflect-metadata";
import fastifyCors from "@fastify/cors";
import fastifyHelmet from "@fastify/helmet";
import { Module, ValidationPipe } from "@nestjs/common";
import { APP_GUARD, NestFactory } from "@nestjs/core";
import { JwtModule } from "@nestjs/jwt";
import { FastifyAdapter, type NestFastifyApplication } from "@nestjs/platform-fastify";
import { ThrottlerGuard, ThrottlerModule } from "@nestjs/throttler";
import { duration } from "../edge/meter.ts";
import { GreeterController } from "./greeter.ts";

/** The greeter in NestJS on Fastify, with the modules that its users take for production. */
@Module({
  imports: [
    JwtModule.register({ secret: process.env.START_SECRET ?? "" }),
    ThrottlerModule.forRoot([{ ttl: 60_000, limit: 1000 }]),
  ],
  controllers: [GreeterController],
  providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
})
class GreeterModule {}

const adapter = new FastifyAdapter({ logger: true });
const app = await NestFactory.create<NestFastifyApplication>(GreeterModule, adapter);
await app.register(fastifyHelmet);
await app.register(fastifyCors, { origin: ["https://shop.example.com"] });
adapter.getInstance().addHook("onResponse", async (request, reply) => {
  const { method, routeOptions } = request;
  const labels = { method, route: routeOptions.url ?? "unknown", status_code: reply.statusCode };
  duration.observe(labels, reply.elapsedTime / 1000);
});
app.useGlobalPipes(new ValidationPipe());
await app.listen(Number(process.env.PORT), "127.0.0.1");
