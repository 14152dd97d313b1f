import { levelOf } from "../../resilience/index.ts";
import { compileAdmission } from "../admission.ts";
import type { EndpointParts } from "../endpoints.ts";
import { compileShedding } from "../shed.ts";
import type { Step } from "../step.ts";
import { composeSteps } from "../step.ts";
import type { ResolvedRoute } from "./route.ts";

/** What a request for an outside system passes before anything of it leaves: the steps of every request, in their order. */
export function compileOutsideAdmission(parts: EndpointParts, resolved: ResolvedRoute): Step {
  const { name, access, limits, route, deadlineMs } = resolved;
  const { overload, protect, quotas, authenticator } = parts;
  const id = `the route ${name}`;
  const limit = quotas.stepOf(id, limits);
  const isPassed = route.authorization === "pass";
  return composeSteps([
    compileShedding(overload, levelOf(route.criticality), deadlineMs),
    protect,
    isPassed ? undefined : quotas.failures,
    isPassed ? limit : compileAdmission(id, access, authenticator, limit),
  ]);
}
