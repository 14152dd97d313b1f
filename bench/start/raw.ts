import { createServer } from "node:http";

/** The least that a server can be. */
createServer((req, res) => {
  const name = decodeURIComponent(req.url?.split("/")[2] ?? "");
  res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ greeting: `Hello, ${name}!` }));
}).listen(Number(process.env.PORT), "127.0.0.1");
