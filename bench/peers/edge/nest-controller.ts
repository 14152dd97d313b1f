import { Body, Controller, Get, HttpCode, Param, Post } from "@nestjs/common";
import { Type } from "class-transformer";
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsInt,
  IsString,
  Length,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateNested,
} from "class-validator";
import { orderOf, status } from "../../edge/order.ts";

/** The order as NestJS' users would say it. */
class CustomerDto {
  @IsString()
  @Length(1, 100)
  name: string;

  @IsString()
  @Length(3, 254)
  email: string;
}

class ItemDto {
  @Matches(/^[a-z0-9-]{1,40}$/)
  sku: string;

  @IsInt()
  @Min(1)
  @Max(99)
  quantity: number;

  @IsInt()
  @Min(0)
  price: number;
}

class OrderDto {
  @ValidateNested()
  @Type(() => CustomerDto)
  customer: CustomerDto;

  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(50)
  @ValidateNested({ each: true })
  @Type(() => ItemDto)
  items: ItemDto[];

  @IsBoolean()
  express: boolean;

  @IsString()
  @MaxLength(500)
  note: string;
}

class ShopDto {
  @Matches(/^[a-z]{1,20}$/)
  shop: string;
}

@Controller()
export class OrdersController {
  @Get("status")
  getStatus() {
    return status;
  }

  @Post("shops/:shop/orders")
  @HttpCode(200)
  placeOrder(@Param() { shop }: ShopDto, @Body() body: OrderDto) {
    return orderOf(shop, body);
  }
}
