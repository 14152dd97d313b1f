/**
 * Shapes of attacks in texts that a client wrote. Each is a plain scan: no pattern repeats within a repetition, so that
 * none takes longer than in proportion to the text. They look for what hardly anybody writes by accident, not for each
 * way in which an attack can be written: a handler that escapes what it passes on needs none of them.
 */
export interface InspectionRule {
  readonly name: string;
  /** What it looks at: the path, the query, or texts in a JSON body. */
  readonly in: readonly InspectedPart[];
  readonly pattern: RegExp;
}

export type InspectedPart = "path" | "query" | "body";

const everywhere: readonly InspectedPart[] = ["path", "query", "body"];
const address: readonly InspectedPart[] = ["path", "query"];

export const defaultRules: readonly InspectionRule[] = [
  // A step up in the path itself; in a value it takes two, or a well-known aim.
  { name: "path-traversal", in: ["path"], pattern: /(?:^|[/\\])\.\.(?:[/\\;]|$)/ },
  {
    name: "path-traversal",
    in: ["query", "body"],
    pattern:
      /\.\.[/\\]\.\.[/\\]|\.\.[/\\](?:etc|proc|windows|boot\.ini)\b|file:\/\/\/|[/\\]etc[/\\](?:passwd|shadow)\b/i,
  },
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is the character that is looked for.
  { name: "nul", in: everywhere, pattern: /\u0000/ },
  { name: "line-break", in: ["path"], pattern: /[\r\n]/ },
  { name: "line-break", in: ["query"], pattern: /\r?\n(?:set-cookie|location|content-[a-z]{4,10}|http\/1)\b/i },
  {
    name: "sql",
    in: everywhere,
    pattern:
      /\bunion\s{1,20}(?:all\s{1,20}|distinct\s{1,20})?select\b|['"]\s{0,20}(?:or|and)\s{1,20}['"(]?\d{1,9}['"]?\s{0,9}=|['"]\s{0,20}(?:or|and)\s{1,20}['"]\w{0,20}['"]\s{0,9}=|['"]\s{0,20};\s{0,20}(?:drop|delete|insert|update|alter|exec|shutdown)\b|\b(?:pg_sleep|waitfor\s{1,9}delay|benchmark)\s{0,9}['"(]|['")]\s{0,9}(?:--|#)\s{0,9}$/i,
  },
  {
    name: "script",
    in: everywhere,
    pattern: /<\s{0,9}script\b|<[a-z][^<>]{0,200}\bon[a-z]{3,20}\s{0,9}=|\bjavascript\s{0,9}:\s{0,9}[a-z(]/i,
  },
  {
    name: "command",
    in: everywhere,
    pattern:
      /[;&|`]\s{0,9}(?:\/(?:usr\/)?bin\/)?(?:cat|curl|wget|bash|sh|nc|ncat|powershell|cmd(?:\.exe)?|whoami|ping)\s{1,9}[-/\w"'$]|\$\((?:cat|curl|wget|bash|sh|nc|id|whoami)\b/i,
  },
  { name: "template", in: everywhere, pattern: /\$\{jndi:|\{\{\s{0,9}\d{1,9}\s{0,9}\*|\$\{\s{0,9}\d{1,9}\s{0,9}\*/i },
  {
    name: "prototype",
    in: everywhere,
    pattern: /__proto__|constructor(?:\.|\[|%5b|"\s{0,9}:\s{0,9}\{\s{0,9}")prototype/i,
  },
  // Bytes of characters that are longer than they need be, for readers who take them for short ones.
  { name: "encoding", in: address, pattern: /%c0%[89ab][0-9a-f]|%e0%80%|%u[0-9a-f]{4}/i },
];

/** Whether a text has anything of what the rules look for: most have nothing, and are done with here. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are among the characters that are looked for.
export const anySign = /[%'"<;&|`$(){}\u0000\r\n\\]|\.\.|__|:\/\/|javascript|union|constructor|\/etc\//i;
