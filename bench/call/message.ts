/** What is sent and comes back; `bytes` are those of its JSON. */
export interface Message {
  id: string;
  sentAt: string;
  sender: { name: string; email: string };
  lines: { sku: string; quantity: number; price: number }[];
  urgent: boolean;
  note: string;
}

export type Exchange = (message: Message) => Promise<Message>;

const message: Message = {
  id: "0b7c5d0e-9f61-4f5c-8a3e-6d1f2b3c4d5e",
  sentAt: "2026-11-21T08:30:00.000Z",
  sender: { name: "Ada Lovelace", email: "ada@example.com" },
  lines: [
    { sku: "earl-grey-250g", quantity: 2, price: 1450 },
    { sku: "cup-white", quantity: 4, price: 1200 },
  ],
  urgent: true,
  note: "Please leave it with the neighbour.",
};

const small: Message = { ...message, id: "0b7c5d0e", sentAt: "", sender: { name: "", email: "" }, lines: [], note: "" };

/** One case: so many calls at a time, with so many bytes each way. */
export interface Case {
  readonly inFlight: number;
  readonly bytes: number;
}

/** The first is the one that counts; 300 bytes are the message as it is. */
export const cases: readonly Case[] = [
  { inFlight: 64, bytes: 300 },
  { inFlight: 1, bytes: 300 },
  { inFlight: 8, bytes: 300 },
  { inFlight: 64, bytes: 100 },
  { inFlight: 64, bytes: 4096 },
  { inFlight: 64, bytes: 65_536 },
];

/** Larger ones have more lines, not a longer text: what costs is structure. */
export function messageOf(bytes: number): Message {
  if (bytes < 300) return small;
  const lines = [...message.lines];
  for (let i = 0; JSON.stringify({ ...message, lines }).length < bytes - 30 && bytes > 300; i++) {
    lines.push({ sku: `tea-${i}-loose-250g`, quantity: 1 + (i % 9), price: 900 + i });
  }
  return { ...message, lines };
}
