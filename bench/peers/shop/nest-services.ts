import { Controller, Inject, Module } from "@nestjs/common";
import {
  type ClientProxy,
  ClientsModule,
  MessagePattern,
  Payload,
  RpcException,
  Transport,
} from "@nestjs/microservices";
import { firstValueFrom } from "rxjs";
import * as store from "../../shop/store.ts";

/** Catalogue, cart and checkout as NestJS microservices over TCP. What comes in was checked by their gateway. */
const address = process.env.SHOP_OTHER ?? "127.0.0.1:1";
const [host = "", port = ""] = address.split(":");
const other = ClientsModule.register([
  { name: "OTHER", transport: Transport.TCP, options: { host, port: Number(port) } },
]);

@Controller()
class CatalogController {
  @MessagePattern("listProducts")
  listProducts(@Payload() filter: store.Filter) {
    return store.listProducts(filter);
  }

  @MessagePattern("getProduct")
  getProduct(@Payload() { id }: { id: string }) {
    const product = store.findProduct(id);
    if (!product) throw new RpcException({ status: 404, reason: "PRODUCT_UNKNOWN" });
    return product;
  }

  @MessagePattern("describeProducts")
  describeProducts(@Payload() { ids }: { ids: string[] }) {
    return { products: store.describeProducts(ids) };
  }
}

@Module({ controllers: [CatalogController] })
export class CatalogModule {}

@Controller()
class CartController {
  readonly #catalog: ClientProxy;

  constructor(@Inject("OTHER") catalog: ClientProxy) {
    this.#catalog = catalog;
  }

  @MessagePattern("getCart")
  async getCart(@Payload() { customer }: { customer: string }) {
    return store.cartOf(customer, await this.#describe(store.idsInCart(customer)));
  }

  @MessagePattern("setItem")
  async setItem(@Payload() wanted: { customer: string; productId: string; quantity: number }) {
    const { customer, productId, quantity } = wanted;
    const products = await this.#describe([...new Set([...store.idsInCart(customer), productId])]);
    if (!products.some(({ id }) => id === productId))
      throw new RpcException({ status: 404, reason: "PRODUCT_UNKNOWN" });
    if (!store.putIntoCart(customer, productId, quantity)) throw new RpcException({ status: 400, reason: "CART_FULL" });
    return store.cartOf(customer, products);
  }

  @MessagePattern("emptyCart")
  emptyCart(@Payload() { customer }: { customer: string }) {
    store.emptyCart(customer);
    return {};
  }

  async #describe(ids: readonly string[]): Promise<store.Described[]> {
    const sent = this.#catalog.send<{ products: store.Described[] }>("describeProducts", { ids });
    return (await firstValueFrom(sent)).products;
  }
}

@Module({ imports: [other], controllers: [CartController] })
export class CartModule {}

interface Wanted {
  readonly customer: string;
  readonly card: store.Card;
  readonly shipTo: store.Address;
  readonly key: string;
}

@Controller()
class CheckoutController {
  readonly #cart: ClientProxy;

  constructor(@Inject("OTHER") cart: ClientProxy) {
    this.#cart = cart;
  }

  @MessagePattern("placeOrder")
  async placeOrder(@Payload() { customer, card, shipTo, key }: Wanted) {
    const before = store.findOrder(customer, key);
    if (before) return before;
    const cart = await firstValueFrom(this.#cart.send<store.Cart>("getCart", { customer }));
    if (cart.items.length === 0) throw new RpcException({ status: 400, reason: "CART_EMPTY" });
    if (store.isDeclined(card)) throw new RpcException({ status: 400, reason: "CARD_DECLINED" });
    const order = store.placeOrder(customer, key, cart, shipTo);
    await firstValueFrom(this.#cart.send("emptyCart", { customer }));
    return order;
  }
}

@Module({ imports: [other], controllers: [CheckoutController] })
export class CheckoutModule {}
