import {
  Body,
  type CanActivate,
  Controller,
  Delete,
  type ExecutionContext,
  Get,
  HttpCode,
  HttpException,
  Inject,
  Injectable,
  Module,
  Param,
  Post,
  Put,
  Query,
  Req,
  UnauthorizedException,
  UseGuards,
  ValidationPipe,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { JwtModule, JwtService } from "@nestjs/jwt";
import { type ClientProxy, ClientsModule, Transport } from "@nestjs/microservices";
import { FastifyAdapter, type NestFastifyApplication } from "@nestjs/platform-fastify";
import { Type } from "class-transformer";
import { IsInt, IsOptional, IsString, Length, Matches, Max, MaxLength, Min, ValidateNested } from "class-validator";
import { catchError, firstValueFrom } from "rxjs";

/** The HTTP side of the NestJS services: tokens and validation here, the work behind it. */
/** What comes in, as NestJS' users would say it: the same rules as `bench/shop/shapes.ts`. */
const line = /^\P{Cc}*$/u;
const id = /^[A-Za-z0-9-]{1,64}$/;

class IdDto {
  @Matches(id)
  id: string;
}

class ProductIdDto {
  @Matches(id)
  productId: string;
}

class FilterDto {
  @IsOptional()
  @Length(1, 60)
  @Matches(line)
  category?: string;

  @IsOptional()
  @Length(1, 100)
  @Matches(line)
  search?: string;

  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(100)
  limit?: number;

  @IsOptional()
  @IsString()
  @MaxLength(1000)
  after?: string;
}

class QuantityDto {
  @IsInt()
  @Min(1)
  @Max(99)
  quantity: number;
}

class AddressDto {
  @Length(1, 100)
  @Matches(line)
  name: string;

  @Length(1, 200)
  @Matches(line)
  street: string;

  @Length(1, 100)
  @Matches(line)
  city: string;

  @Length(1, 20)
  @Matches(line)
  postalCode: string;

  @Matches(/^[A-Z]{2}$/)
  country: string;
}

class CardDto {
  @Matches(/^[0-9 ]{12,23}$/)
  number: string;

  @IsInt()
  @Min(1)
  @Max(12)
  expiryMonth: number;

  @IsInt()
  @Min(2000)
  @Max(2100)
  expiryYear: number;

  @Matches(/^[0-9]{3,4}$/)
  cvc: string;
}

class OrderDto {
  @ValidateNested()
  @Type(() => CardDto)
  card: CardDto;

  @ValidateNested()
  @Type(() => AddressDto)
  shipTo: AddressDto;

  @Matches(id)
  key: string;
}

interface Known {
  readonly headers: { readonly authorization?: string };
  user?: { readonly sub: string };
}

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
      request.user = await this.#tokens.verifyAsync<{ sub: string }>(scheme === "Bearer" ? token : "");
    } catch {
      throw new UnauthorizedException();
    }
    return true;
  }
}

/** What a service throws becomes its status. */
function ask(client: ClientProxy, pattern: string, message: unknown): Promise<unknown> {
  return firstValueFrom(
    client.send<unknown>(pattern, message).pipe(
      catchError((thrown: { status?: number; reason?: string }) => {
        throw new HttpException({ reason: thrown.reason }, thrown.status ?? 500);
      }),
    ),
  );
}

@Controller("products")
class ProductsController {
  readonly #catalog: ClientProxy;

  constructor(@Inject("CATALOG") catalog: ClientProxy) {
    this.#catalog = catalog;
  }

  @Get()
  list(@Query() filter: FilterDto) {
    return ask(this.#catalog, "listProducts", filter);
  }

  @Get(":id")
  get(@Param() { id }: IdDto) {
    return ask(this.#catalog, "getProduct", { id });
  }
}

@Controller("cart")
@UseGuards(AuthGuard)
class CartController {
  readonly #cart: ClientProxy;

  constructor(@Inject("CART") cart: ClientProxy) {
    this.#cart = cart;
  }

  @Get()
  get(@Req() { user }: Known) {
    return ask(this.#cart, "getCart", { customer: user?.sub });
  }

  @Put("items/:productId")
  set(@Req() { user }: Known, @Param() { productId }: ProductIdDto, @Body() { quantity }: QuantityDto) {
    return ask(this.#cart, "setItem", { customer: user?.sub, productId, quantity });
  }

  @Delete()
  @HttpCode(204)
  async empty(@Req() { user }: Known) {
    await ask(this.#cart, "emptyCart", { customer: user?.sub });
  }
}

@Controller("orders")
@UseGuards(AuthGuard)
class OrdersController {
  readonly #checkout: ClientProxy;

  constructor(@Inject("CHECKOUT") checkout: ClientProxy) {
    this.#checkout = checkout;
  }

  @Post()
  place(@Req() { user }: Known, @Body() order: OrderDto) {
    return ask(this.#checkout, "placeOrder", { customer: user?.sub, ...order });
  }
}

const addresses = JSON.parse(process.env.SHOP_SERVICES ?? "{}") as Readonly<Record<string, string>>;
const clients = Object.entries(addresses).map(([name, address]) => {
  const [host = "", port = ""] = address.split(":");
  return { name: name.toUpperCase(), transport: Transport.TCP as const, options: { host, port: Number(port) } };
});

@Module({
  imports: [
    JwtModule.register({ publicKey: process.env.SHOP_KEY ?? "", verifyOptions: { algorithms: ["ES256"] } }),
    ClientsModule.register(clients),
  ],
  controllers: [ProductsController, CartController, OrdersController],
})
class GatewayModule {}

export async function startGateway(): Promise<string> {
  const app = await NestFactory.create<NestFastifyApplication>(GatewayModule, new FastifyAdapter({ logger: true }));
  app.useGlobalPipes(new ValidationPipe({ transform: true }));
  await app.listen(0, "127.0.0.1");
  return app.getUrl();
}
