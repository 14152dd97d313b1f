import "reflect-metadata";
import { Module, ValidationPipe } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { FastifyAdapter, type NestFastifyApplication } from "@nestjs/platform-fastify";
import { announce } from "../../child.ts";
import { OrdersController } from "./nest-controller.ts";

/** NestJS on Fastify, with its validation pipe. */
@Module({ controllers: [OrdersController] })
class OrdersModule {}

const app = await NestFactory.create<NestFastifyApplication>(OrdersModule, new FastifyAdapter(), { logger: false });
app.useGlobalPipes(new ValidationPipe());
await app.listen(0, "127.0.0.1");

announce({ url: await app.getUrl() });
