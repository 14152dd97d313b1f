/** Of Bun, what is used here. */
declare const Bun: {
  serve(options: { hostname: string; port: number; fetch: (request: Request) => Response | Promise<Response> }): {
    readonly port: number;
  };
};

/** Serves on Bun's own server, and answers where. */
export function serve(fetch: (request: Request) => Response | Promise<Response>): string {
  const { port } = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch });
  return `http://127.0.0.1:${port}`;
}
