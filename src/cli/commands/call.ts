import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Calls one method and prints its answer; a stream as one JSON value to a line",
  details:
    "Starts the app in this process without listening, and calls as the app itself. With --url it calls an app that runs, through the method's route, and needs a token where the route asks for one.",
  args: [
    { name: "METHOD", describe: "SERVICE.METHOD, such as catalog.getProduct" },
    { name: "REQUEST", describe: "the message as JSON; default {}; - reads it from standard input", optional: true },
  ],
  flags: {
    app: appFlag,
    url: {
      kind: "text",
      value: "URL",
      describe: "the gateway of an app that runs, such as https://shop.example or http://127.0.0.1:8080",
    },
    token: { kind: "text", value: "TOKEN", describe: "sent with --url" },
    json: { ...jsonFlag, describe: "a failure as problem details (RFC 9457) instead of text" },
  },
  examples: [
    `plinth call catalog.getProduct '{"id":"mug"}'`,
    "plinth call catalog.listProducts --url http://127.0.0.1:8080",
    "cat order.json | plinth call checkout.placeOrder -",
  ],
  async run({ args, flags, terminal }) {
    const { loadAppOf } = await import("../app-model.ts");
    const { callMethod } = await import("../method-call.ts");
    const [method = "", text = "{}"] = args;
    const request = text === "-" ? await terminal.read() : text;
    return callMethod(await loadAppOf(terminal, flags.app), { method, request, ...flags }, terminal);
  },
});
