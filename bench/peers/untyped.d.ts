/** Packages that come without types. */
declare module "koa-bodyparser";
declare module "cors";
