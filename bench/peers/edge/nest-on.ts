import "reflect-metadata";
import fastifyCors from "@fastify/cors";
import fastifyHelmet from "@fastify/helmet";
import {
  type CanActivate,
  type ExecutionContext,
  ForbiddenException,
  Inject,
  Injectable,
  Module,
  UnauthorizedException,
  ValidationPipe,
} from "@nestjs/common";
import { APP_GUARD, NestFactory } from "@nestjs/core";
import { JwtModule, JwtService } from "@nestjs/jwt";
import { FastifyAdapter, type NestFastifyApplication } from "@nestjs/platform-fastify";
import { ThrottlerGuard, ThrottlerModule } from "@nestjs/throttler";
import type { FastifyRequest } from "fastify";
import { pino } from "pino";
import { announce } from "../../child.ts";
import { answered } from "./answered.ts";
import { duration } from "./meter.ts";
import { OrdersController } from "./nest-controller.ts";
import { type Claims, hasScope, origin, publicKey, quota } from "./settings.ts";
import { spans } from "./spans.ts";

/** NestJS on Fastify with the modules that its users take for production. */
type Known = FastifyRequest & { user?: Claims };

@Injectable()
class AuthGuard implements CanActivate {
  readonly #tokens: JwtService;

  constructor(@Inject(JwtService) tokens: JwtService) {
    this.#tokens = tokens;
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<Known>();
    const [scheme, token = ""] = (request.headers.authorization ?? "").split(" ");
    try {
      request.user = await this.#tokens.verifyAsync<Claims>(scheme === "Bearer" ? token : "");
    } catch {
      throw new UnauthorizedException();
    }
    if (!hasScope(request.user)) throw new ForbiddenException();
    return true;
  }
}

@Injectable()
class PrincipalThrottlerGuard extends ThrottlerGuard {
  protected override async getTracker(request: Known): Promise<string> {
    return request.user?.sub ?? "";
  }
}

@Module({
  imports: [
    JwtModule.register({ publicKey, verifyOptions: { algorithms: ["ES256"] } }),
    ThrottlerModule.forRoot([{ ttl: 60_000, limit: quota }]),
  ],
  controllers: [OrdersController],
  providers: [
    { provide: APP_GUARD, useClass: AuthGuard },
    { provide: APP_GUARD, useClass: PrincipalThrottlerGuard },
  ],
})
class OrdersModule {}

const app = await NestFactory.create<NestFastifyApplication>(OrdersModule, new FastifyAdapter(), { logger: false });
await app.register(fastifyHelmet);
await app.register(fastifyCors, { origin: [origin] });
const log = pino();
app
  .getHttpAdapter()
  .getInstance()
  .addHook("onResponse", async (request, reply) => {
    const { method, url, routeOptions } = request;
    const { statusCode, elapsedTime } = reply;
    duration.observe({ method, route: routeOptions.url ?? "unknown", status_code: statusCode }, elapsedTime / 1000);
    log.info(
      { req: { id: request.id, method, url }, res: { statusCode }, responseTime: elapsedTime },
      "request completed",
    );
  });
app.useGlobalPipes(new ValidationPipe());
await app.listen(0, "127.0.0.1");

announce({ url: await app.getUrl() }, { answered, spans });
