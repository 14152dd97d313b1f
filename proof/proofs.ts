import { cache } from "./cache/proof.ts";
import { embedded } from "./embedded/proof.ts";
import { hostile } from "./hostile/proof.ts";
import { idempotency } from "./idempotency/proof.ts";
import { ledger } from "./ledger/proof.ts";
import { limits } from "./limits/proof.ts";
import { mutants } from "./mutants/proof.ts";
import { overload } from "./overload/proof.ts";
import { postgres } from "./postgres/proof.ts";
import type { Proof } from "./proof.ts";
import { reload } from "./reload/proof.ts";
import { replica } from "./replica/proof.ts";
import { restart } from "./restart/proof.ts";
import { schedules } from "./schedules/proof.ts";
import { shards } from "./shards/proof.ts";
import { tokens } from "./tokens/proof.ts";
import { upstream } from "./upstream/proof.ts";

/** Every proof, by the name that `npm run prove` takes. */
export const proofs: Readonly<Record<string, Proof>> = {
  cache,
  embedded,
  hostile,
  idempotency,
  ledger,
  limits,
  mutants,
  overload,
  postgres,
  reload,
  replica,
  restart,
  schedules,
  shards,
  tokens,
  upstream,
};
