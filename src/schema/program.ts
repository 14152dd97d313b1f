/**
 * Collects the text and the constants of a generated program. Everything from a schema that goes into the text goes
 * through `JSON.stringify`; values go in as constants, never as text.
 */
export interface Program {
  /** The name by which the text can use a value. */
  constant(value: unknown): string;
  /** A function of (v, d): the value, and how many named parts it is nested in. */
  define(name: string, body: string): void;
  /** Compiles what was collected, and returns the functions asked for. */
  link(names: readonly string[]): Function[];
}

export function createProgram(): Program {
  const constants: unknown[] = [];
  const functions: string[] = [];
  return {
    constant(value) {
      const known = constants.indexOf(value);
      if (known !== -1) return `k${known}`;
      constants.push(value);
      return `k${constants.length - 1}`;
    },
    define(name, body) {
      functions.push(`function ${name}(v, d) {\n${body}\n}`);
    },
    link(names) {
      const unpack = constants.map((_, i) => `const k${i} = k[${i}];`).join("\n");
      const text = `"use strict";\n${unpack}\n${functions.join("\n")}\nreturn [${names.join(", ")}];`;
      return new Function("k", text)(constants) as Function[];
    },
  };
}

/** How the text reads one field of `v`. Names that every object inherits count only when they are the object's own. */
export function read(program: Program, name: string): string {
  const key = JSON.stringify(name);
  return isInherited(name) ? `${program.constant(ownMember)}(v, ${key})` : `v[${key}]`;
}

/** A member that every object has, such as "constructor": there without anybody having sent it. */
export function isInherited(name: string): boolean {
  return name in Object.prototype;
}

function ownMember(value: object, name: string): unknown {
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}
