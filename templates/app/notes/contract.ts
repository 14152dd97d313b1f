import { contract, event, method, t } from "plinth";

export const Note = t.Object({ id: t.String({ format: "uuid" }), text: t.String({ minLength: 1, maxLength: 500 }) });

/** The public face of the service: whoever calls it imports this, and never its implementation. */
export const notes = contract("notes", {
  methods: {
    addNote: method({
      http: "POST /notes",
      summary: "Writes a note down",
      request: t.Pick(Note, ["text"]),
      response: Note,
      status: 201,
      access: "public", // Without this line a valid token is asked for.
    }),
    getNote: method({
      http: "GET /notes/:id",
      summary: "One note",
      request: t.Pick(Note, ["id"]),
      response: Note,
      errors: { NOTE_UNKNOWN: "not_found" },
      access: "public",
    }),
    getStatistics: method({
      http: "GET /statistics",
      summary: "How much was written so far",
      response: t.Object({ notes: t.Integer(), words: t.Integer() }),
      access: "public",
    }),
  },
  events: {
    NoteAdded: event({ key: "id", payload: Note }),
  },
});
