import type { CacheDriver } from "../../cache/index.ts";
import type { Engine, EngineOptions } from "../engine.ts";
import { parseAddress } from "./address.ts";
import { RedisConnection } from "./connection.ts";
import { RedisCache } from "./redis-cache.ts";

/**
 * Redis, or what speaks its language (Valkey, KeyDB, the clouds' own): a cache that all processes share.
 *
 * `CACHE_URL=redis://user:password@host:6379/0?prefix=shop`, or `rediss://` for TLS (a private authority goes into
 * NODE_EXTRA_CA_CERTS). Needs version 4 or later with scripting, and a `maxmemory` with an `allkeys-…` policy if it is to
 * drop entries instead of refusing them. Its replication is asynchronous: a failover may bring back entries whose
 * invalidation was acknowledged; their time to live bounds that.
 */
export default {
  name: "redis",
  schemes: ["redis", "rediss"],
  package: "@redis/client",
  ports: {
    cache(url: URL, options: EngineOptions = {}): CacheDriver {
      const address = parseAddress(url);
      return new RedisCache(new RedisConnection(address, options), address.prefix, options);
    },
  },
} satisfies Engine;
