import { withoutLeadingComments } from "./statements.ts";

/**
 * Whether a statement may write, by its text. In doubt it may: that costs a read one or two small statements more, where a
 * write that was taken for a read would not be seen by whoever reads after it. So a query is not cleared when it calls a
 * function not known here; when a comment stands inside it, which can part a function from its bracket; or when a name has
 * a dot, since PostgreSQL reads `t.fn` as `fn(t)` where `t` has no such column. Write joins with `using`, or pay for them.
 *
 * Not seen, because it is not in the text: what a view, a policy, an operator, a cast, or a function with the name of one
 * of PostgreSQL's own does.
 */
export function mayWrite(text: string): boolean {
  let found = known.get(text);
  if (found !== undefined) return found;
  found = !isPlainQuery(text);
  if (known.size >= knownMax) known.clear();
  known.set(text, found);
  return found;
}

/** Texts hold placeholders and no values, so a program has few. */
const known = new Map<string, boolean>();
const knownMax = 1_000;

function isPlainQuery(text: string): boolean {
  const query = withoutLeadingComments(text);
  if (!/^[\s(]*(?:select|with|values|table|show)\b/i.test(query)) return false;
  if (/\b(?:insert|update|delete|merge|into|share)\b|;|"\s*\(|--|\/\*/i.test(query)) return false;
  if (/\.\s*["a-z_\u0080-\uffff]/i.test(query)) return false;
  for (const [, name] of query.matchAll(/(?<![\w$\u0080-\uffff])([a-z_\u0080-\uffff][\w$\u0080-\uffff]*)\s*\(/gi)) {
    if (!harmless.has((name as string).toLowerCase())) return false;
  }
  return true;
}

/** Words that stand before a parenthesis in plain queries, and functions of PostgreSQL that only compute. */
const harmless: ReadonlySet<string> = new Set(
  (
    "select from where and or not in any all some exists on using as over filter by values when then else with union " +
    "intersect except having join lateral case is between like ilike array row rows order group limit offset distinct " +
    "materialized varchar char numeric decimal timestamp timestamptz time interval bit within partition window sets " +
    "rollup cube grouping end only returning cast extract position substring trim overlay coalesce nullif greatest least " +
    "count sum min max avg bool_and bool_or every string_agg array_agg json_agg jsonb_agg json_object_agg " +
    "jsonb_object_agg row_number rank dense_rank lag lead first_value last_value abs ceil ceiling floor round trunc mod " +
    "power sqrt sign lower upper length char_length octet_length left right lpad rpad ltrim rtrim btrim replace " +
    "split_part concat concat_ws starts_with strpos md5 sha256 encode decode format to_char to_date to_number " +
    "to_timestamp date_trunc date_part age now clock_timestamp statement_timestamp make_interval to_json to_jsonb " +
    "json_build_object jsonb_build_object json_build_array jsonb_build_array jsonb_array_elements " +
    "jsonb_array_elements_text json_array_elements jsonb_array_length json_array_length jsonb_extract_path_text " +
    "jsonb_typeof unnest cardinality array_length array_position array_to_string string_to_array generate_series " +
    "regexp_replace regexp_match regexp_matches similarity to_regclass to_tsvector to_tsquery plainto_tsquery " +
    "websearch_to_tsquery ts_rank hashtext hashtextextended convert_to get_byte"
  ).split(" "),
);
