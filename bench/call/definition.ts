import { app, external, service } from "plinth";
import { driveExchange, proveAnswers } from "./calling.ts";
import { driver, echo } from "./echo.ts";

const driverService = service(driver, {
  needs: { echo },
  methods: {
    async prove({ bytes }, { echo }) {
      await proveAnswers(async (message) => (await echo.exchange({ message })).message, bytes);
      return {};
    },
    drive: ({ seconds, ...work }, { echo }) =>
      driveExchange(async (message) => (await echo.exchange({ message })).message, work, seconds),
  },
});

const echoService = service(echo, {
  methods: {
    async exchange({ message }) {
      return { message };
    },
  },
});

/** Caller and callee: in one process, or in a group each. */
export const definition = app({
  name: "bench",
  services: [driverService, echoService],
  placement: { caller: ["driver"], callee: ["echo", "gateway"] },
});

/** The same caller; the callee is an outside HTTP service at `url`. */
export function definitionOver(url: string) {
  return app({ name: "bench", services: [driverService, external(echo, url)] });
}
