import { database, type Infer, newId, service } from "plinth";
import { type Note, notes } from "./contract.ts";

type NoteRow = Infer<typeof Note>;

export default service(notes, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }) },

  methods: {
    async addNote({ text }, { db, events }) {
      const note = { id: newId(), text };
      // The note and the news of it are written together, or neither is.
      await db.transaction(async (tx) => {
        await tx.sql`insert into notes (id, text) values (${note.id}, ${note.text})`;
        await events.publish(notes.NoteAdded, note, { in: tx });
      });
      return note;
    },

    async getNote({ id }, { db, fail }) {
      const [note] = await db.sql<NoteRow>`select id, text from notes where id = ${id}`;
      if (!note) throw fail("NOTE_UNKNOWN", `There is no note "${id}".`);
      return note;
    },

    async getStatistics(_request, { db }) {
      const [row] = await db.sql<{ notes: number; words: number }>`select notes, words from statistics`;
      return row ?? { notes: 0, words: 0 };
    },
  },

  // Any service may listen to any event of the app. This one listens to its own, to show how.
  subscriptions: {
    countWords: {
      event: notes.NoteAdded,
      async handle({ text }, { tx }) {
        const words = text.split(/\s+/).filter((word) => word !== "").length;
        await tx.sql`update statistics set notes = notes + 1, words = words + ${words}`;
      },
    },
  },
});
