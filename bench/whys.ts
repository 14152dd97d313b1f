/**
 * Why goals are not reached, and what was tried: by bench, and by what the names of the goals have in common, as in
 * `hop: { "plinth to nginx": "…" }`. Shown by `npm run bench -- --render` while one of those goals is not reached.
 */
export const whys: Readonly<Record<string, Readonly<Record<string, string>>>> = {};
