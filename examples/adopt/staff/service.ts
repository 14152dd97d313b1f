import { createHash, timingSafeEqual } from "node:crypto";
import { secret, service, tokens } from "plinth";
import { staff } from "./contract.ts";

export default service(staff, {
  needs: { tokens: tokens(), shopKey: secret("SHOP_KEY", "what the staff types in to sign in") },
  methods: {
    async signIn({ name, key }, { tokens, shopKey, fail }) {
      if (!timingSafeEqual(digest(key), digest(shopKey))) throw fail("KEY_WRONG", "This is not the key.");
      return tokens.issue({ subject: name, ttl: "8h" });
    },
  },
});

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
