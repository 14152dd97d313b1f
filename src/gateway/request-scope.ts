import type { PlinthError, ScopeFields } from "../base/index.ts";
import { CallScope } from "../base/index.ts";

/** The root of the calls that one request makes. It answers for itself when its time is over. */
export class RequestScope extends CallScope {
  readonly #request: { onDeadline(reason: PlinthError): void };

  constructor(request: { onDeadline(reason: PlinthError): void }, fields: ScopeFields) {
    super(fields);
    this.#request = request;
  }

  override onDeadline(): void {
    super.onDeadline();
    if (this.cancelled) this.#request.onDeadline(this.cancelled);
  }
}
