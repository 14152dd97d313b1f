/** The same answer to the same question. */
export function memo<R>(make: (name: string) => R): (name: string) => R {
  const known = new Map<string, R>();
  return (name) => {
    const found = known.get(name) ?? make(name);
    known.set(name, found);
    return found;
  };
}
