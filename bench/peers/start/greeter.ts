import { Controller, Get, Param } from "@nestjs/common";
import { IsString, MaxLength } from "class-validator";

class GreetingDto {
  @IsString()
  @MaxLength(50)
  name: string;
}

/** The greeter as NestJS' users would write it. */
@Controller()
export class GreeterController {
  @Get("hello/:name")
  greet(@Param() { name }: GreetingDto) {
    return { greeting: `Hello, ${name}!` };
  }
}
