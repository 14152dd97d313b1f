/** For tests of apps and services: the whole app in the test's own process, or one service with nothing around it. */
export type { TestApp, TestAppOptions } from "./app/testing.ts";
export { startTestApp } from "./app/testing.ts";
export type { TestUnitOptions } from "./service/testing.ts";
export { createTestScope, createTestUnit } from "./service/testing.ts";
