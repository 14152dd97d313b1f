import "reflect-metadata";
import { Module, ValidationPipe } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { FastifyAdapter, type NestFastifyApplication } from "@nestjs/platform-fastify";
import { GreeterController } from "./greeter.ts";

/** The greeter in NestJS on Fastify, with its validation pipe. */
@Module({ controllers: [GreeterController] })
class GreeterModule {}

const app = await NestFactory.create<NestFastifyApplication>(GreeterModule, new FastifyAdapter());
app.useGlobalPipes(new ValidationPipe());
await app.listen(Number(process.env.PORT), "127.0.0.1");
