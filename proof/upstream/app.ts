import { app } from "plinth";

/** A gateway in front of three servers that Plinth did not write. Where they are, and how it chooses, the proof says. */
const { DESK_TARGETS = "[]", DESK_OPTIONS = "{}" } = process.env;

export default app({
  name: "front",
  services: [],
  gateway: {
    docs: false,
    // What is shown is what the upstream does alone.
    overload: false,
    upstreams: { desk: { targets: JSON.parse(DESK_TARGETS), health: { path: "/up" }, ...JSON.parse(DESK_OPTIONS) } },
    routes: [{ path: "/desk/*", upstream: "desk", strip: true, access: "public", deadline: "2s" }],
  },
  placement: { front: ["gateway"] },
});
