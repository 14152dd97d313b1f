/** Text that a customer wrote, as text: no sign of it is HTML. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] as string);
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export interface Letter {
  /** As text: it is escaped here. */
  readonly subject: string;
  readonly greeting: string;
  /** As HTML. */
  readonly body: string;
  readonly to: string;
}

/** A mail as HTML that every mail program shows. */
export function renderLetter({ subject, greeting, body, to }: Letter): string {
  return `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head>
  <body style="font-family:sans-serif;color:#222;max-width:40em;margin:auto">
    <h1 style="font-size:1.3em">${escapeHtml(greeting)}</h1>
${body}
    <p style="color:#666">This mail is for ${escapeHtml(to)}.</p>
  </body>
</html>
`;
}

/** The lines of an address. */
export function renderAddress(shipTo: {
  readonly name: string;
  readonly street: string;
  readonly postalCode: string;
  readonly city: string;
  readonly country: string;
}): string {
  const lines = [shipTo.name, shipTo.street, `${shipTo.postalCode} ${shipTo.city}`, shipTo.country];
  return lines.map(escapeHtml).join("<br>");
}
