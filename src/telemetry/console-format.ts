/**
 * The log for a person at a terminal: time, level, service, message, fields; errors with their stacks below, indented.
 * Control characters that came with the data are shown, not obeyed: a line cannot fake another one or steer the terminal.
 */
export function createConsoleFormat(options: { readonly colour: boolean }): (line: string) => string {
  const paint = (code: string, text: string): string => (options.colour ? `\u001b[${code}m${text}\u001b[0m` : text);

  return (line) => {
    const fields = JSON.parse(line) as Record<string, unknown>;
    const { level, time, service, msg, trace_id: traceId, span_id: _, err, ...others } = fields;
    const label = String(level);
    const parts = [paint("2", String(time).slice(11, 23)), paint(colours[label] ?? "0", label.toUpperCase().padEnd(5))];
    if (service !== undefined) parts.push(paint("36", visible(String(service))));
    parts.push(visible(String(msg ?? "")));
    for (const [name, value] of Object.entries(others)) parts.push(paint("2", `${visible(name)}=${short(value)}`));
    if (traceId !== undefined) parts.push(paint("2", `trace=${visible(String(traceId)).slice(0, 8)}`));
    return `${parts.join(" ")}\n${err === undefined ? "" : errorText(err, "    ")}`;
  };
}

const colours: Readonly<Record<string, string>> = {
  trace: "90",
  debug: "34",
  info: "32",
  warn: "33",
  error: "31",
  fatal: "41",
};

const valueLengthMax = 500;

function errorText(value: unknown, indent: string): string {
  if (typeof value !== "object" || value === null) return `${indent}${short(value)}\n`;
  const { type, message, stack, cause, errors, ...others } = value as Record<string, unknown>;
  const head = typeof stack === "string" ? stack : `${String(type)}: ${String(message)}`;
  const lines = head.split("\n").map((one) => indent + visible(one));
  const facts = Object.entries(others).map(([name, fact]) => `${visible(name)}=${short(fact)}`);
  if (facts.length > 0) lines.push(`${indent}${facts.join(" ")}`);
  let text = `${lines.join("\n")}\n`;
  if (cause !== undefined) text += `${indent}caused by\n${errorText(cause, `${indent}  `)}`;
  if (Array.isArray(errors))
    for (const one of errors) text += `${indent}together with\n${errorText(one, `${indent}  `)}`;
  return text;
}

function short(value: unknown): string {
  const text =
    typeof value === "string" && /^[\w./:@+-]+$/.test(value) ? value : (JSON.stringify(value) ?? "undefined");
  const plain = visible(text);
  return plain.length > valueLengthMax ? `${plain.slice(0, valueLengthMax)}…` : plain;
}

function visible(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (character) =>
    character === "\n" ? "\\n" : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
