import type { Model, ModelService } from "../app/index.ts";
import type { Screen } from "./terminal.ts";

/** The Model for a person to look over: what there is and what needs what. The whole of it is `--json`. */
export function describeModel(model: Model, screen: Screen): string {
  const groups = model.groups.map(({ name, services, gateway }) => {
    return `  ${name}: ${[...(gateway ? ["gateway"] : []), ...services].join(", ")}`;
  });
  return [
    `${screen.style("bold", model.name)} ${model.version}`,
    ...model.services.flatMap((service) => ["", ...describeService(service, screen)]),
    "",
    screen.style("bold", "groups"),
    ...groups,
    "",
  ].join("\n");
}

function describeService(service: ModelService, screen: Screen): string[] {
  const { name, external, methods, events, needs, subscriptions } = service;
  return [
    `${screen.style("bold", name)}${external === null ? "" : ` at ${external}`}`,
    ...methods.map(({ name: method, http, kind }) => {
      const route = http ? `  ${screen.style("dim", `${http.verb} ${http.path}`)}` : "";
      return `  ${method}${kind === "unary" ? "" : ` (${kind})`}${route}`;
    }),
    ...line("publishes", events, ({ name: event }) => event),
    ...line("subscribes to", subscriptions, ({ event }) => event),
    ...line("needs", needs, ({ name: need, kind, target }) => {
      return target === null || target === need ? `${need} (${kind})` : `${need} (${kind} ${target})`;
    }),
  ];
}

function line<T>(title: string, items: readonly T[], show: (item: T) => string): string[] {
  return items.length === 0 ? [] : [`  ${title}: ${items.map(show).join(", ")}`];
}
