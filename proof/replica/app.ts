import { app, contract, database, method, service, t } from "plinth";

/** A note has a version, which its one writer counts up. What is read says where from. */
const Read = t.Object({ version: t.Integer(), fromReplica: t.Boolean(), process: t.Integer() });
const Written = t.Object({ process: t.Integer() });
const Note = t.Object({ id: t.String({ maxLength: 50 }), version: t.Integer() });

/** How old a read may be, for all that its caller knows. */
export const staleness = "5s";

const notes = contract("notes", {
  methods: {
    write: method({ http: "PUT /notes/:id", request: Note, response: Written, access: "public" }),
    read: method({
      http: "GET /notes/:id",
      request: t.Object({ id: t.String({ maxLength: 50 }) }),
      response: Read,
      access: "public",
    }),
  },
});

const notesService = service(notes, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }) },
  methods: {
    async write({ id, version }, { db }) {
      await db.sql`
        insert into notes (id, version) values (${id}, ${version})
        on conflict (id) do update set version = excluded.version`;
      return { process: process.pid };
    },
    async read({ id }, { db }) {
      const [row] = await db.read({ staleness }).sql<{ version: number | null; replica: boolean }>`
        select (select version from notes where id = ${id}) as version, pg_is_in_recovery() as replica`;
      return { version: row?.version ?? 0, fromReplica: row?.replica ?? false, process: process.pid };
    },
  },
});

/** Lives elsewhere: what it writes and reads goes over RPC, to whichever process is next. */
const desk = contract("desk", {
  methods: {
    writeAndRead: method({
      http: "POST /desk/:id",
      request: Note,
      response: t.Object({ written: Written, read: Read }),
      access: "public",
    }),
  },
});

const deskService = service(desk, {
  needs: { notes },
  methods: {
    async writeAndRead(note, { notes }) {
      const written = await notes.write(note);
      return { written, read: await notes.read({ id: note.id }) };
    },
  },
});

export default app({
  name: "notes",
  services: [notesService, deskService],
  placement: { edge: ["gateway", "desk"], store: ["notes"] },
});
