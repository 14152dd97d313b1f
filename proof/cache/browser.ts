import { Agent, request } from "node:http";

/** Reads over connections that stay open, and as little else as can be: what is measured is the other side. */
export interface Browser {
  get(path: string): Promise<Reading>;
  close(): void;
}

export interface Reading {
  readonly status: number;
  readonly body: string;
  readonly ms: number;
}

export function createBrowser(url: string): Browser {
  const agent = new Agent({ keepAlive: true });
  return {
    get: (path) =>
      new Promise((resolve, reject) => {
        const startedAt = performance.now();
        const asked = request(url + path, { agent }, (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.once("error", reject);
          answer.once("end", () => {
            const body = Buffer.concat(chunks).toString();
            resolve({ status: answer.statusCode ?? 0, body, ms: performance.now() - startedAt });
          });
        });
        asked.once("error", reject);
        asked.end();
      }),
    close: () => agent.destroy(),
  };
}

export async function productIds(browser: Browser): Promise<readonly string[]> {
  const { body } = await browser.get("/products?limit=100");
  return (JSON.parse(body) as { products: { id: string }[] }).products.map(({ id }) => id);
}

/** What somebody looks at who browses: mostly products, some far more often than others, now and then a page of many. */
export function pickPath(ids: readonly string[], random: () => number = Math.random): string {
  const dice = random();
  if (dice < 0.05) return "/categories";
  if (dice < 0.3) return "/products";
  return `/products/${ids[Math.floor(ids.length * random() ** 2)]}`;
}
