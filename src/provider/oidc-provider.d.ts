/** The parts of the package beside its door, which prints a warning on Node 20 at each start. */
declare module "oidc-provider/lib/provider.js" {
  export { Provider } from "oidc-provider";
}

declare module "oidc-provider/lib/helpers/errors.js" {
  import { errors } from "oidc-provider";

  const all: typeof errors;
  export = all;
}
