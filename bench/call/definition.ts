import { app, external, service } from "plinth";
import { drive } from "./drive.ts";
import { driver, echo, message } from "./echo.ts";

const driverService = service(driver, {
  needs: { echo },
  methods: {
    drive: ({ seconds, inFlight }, { echo }) => drive(() => echo.exchange({ message }), seconds, inFlight),
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
