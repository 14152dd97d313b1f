/** Who calls: tokens of several issuers, the app's own among them, and what a refused client is told. */
export type { Algorithm } from "./algorithm.ts";
export type { Authenticator, AuthenticatorOptions } from "./authenticator.ts";
export { createAuthenticator } from "./authenticator.ts";
export type { Challenge, ChallengeOptions } from "./challenge.ts";
export { createChallenge } from "./challenge.ts";
export type { FetchJson } from "./discovery.ts";
export type { IdentityOptions, IdentityParts } from "./identity.ts";
export { createIdentity } from "./identity.ts";
export type { ClaimNames, IssuerDefinition, IssuerOptions } from "./issuer.ts";
export { issuer } from "./issuer.ts";
export type { Jwks } from "./key-set.ts";
export type { LocalKeys } from "./key-source.ts";
export type { Presented } from "./presented.ts";
export type { TokenIssuer, TokenIssuerOptions } from "./token-issuer.ts";
export { createTokenIssuer } from "./token-issuer.ts";
export type { TokenKeys, TokenKeysOptions } from "./token-keys.ts";
export { createTokenKeys, generateTokenSecret } from "./token-keys.ts";
export { TwoGenerations } from "./two-generations.ts";
