import { app } from "plinth";
import notes from "./notes/service.ts";

export default app({ name: "{{name}}", version: "0.1.0", services: [notes] });
