import type { CacheDriver } from "../../cache/index.ts";
import type { LimitDriver } from "../../limits/index.ts";
import type { Engine, EngineOptions } from "../engine.ts";
import { parseAddress } from "./address.ts";
import { RedisConnection } from "./connection.ts";
import { RedisCache } from "./redis-cache.ts";
import { RedisLimits } from "./redis-limits.ts";
import { Removals } from "./removals.ts";

/**
 * Redis, or what speaks its language (Valkey, KeyDB, the clouds' own): a cache that all processes share, and what counts their limits.
 *
 * `CACHE_URL=redis://user:password@host:6379/0?prefix=shop`, or `rediss://` for TLS (a private authority goes into
 * NODE_EXTRA_CA_CERTS). Behind sentinels `redis+sentinel://host1,host2:26379/mymaster`, and for a cluster
 * `redis+cluster://host1,host2:6379`, in which `spread=8` divides each service's entries over 8 slots; nodes with other
 * ports are named by `nodes=host:port,host:port`. Needs version 4 or later with scripting, and a `maxmemory` with an
 * `allkeys-…` policy if it is to drop entries instead of refusing them. Its replication is asynchronous: a failover may
 * bring back entries whose invalidation was acknowledged; their time to live bounds that.
 */
export default {
  name: "redis",
  schemes: ["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"],
  package: "@redis/client",
  ports: {
    cache(url: URL, options: EngineOptions = {}): CacheDriver {
      const address = parseAddress(url);
      const { prefix, spread } = address;
      const { clock, random } = options;
      const connection = new RedisConnection(address, options);
      const removals = new Removals({ connection, prefix, clock, random });
      return new RedisCache({ connection, removals, prefix, spread, random });
    },
    /** `LIMITS_URL`, with the same addresses; best a server of its own without an `allkeys-…` policy. */
    limiter(url: URL, options: EngineOptions = {}): LimitDriver {
      const address = parseAddress(url);
      return new RedisLimits({ connection: new RedisConnection(address, options), prefix: address.prefix });
    },
  },
} satisfies Engine;
