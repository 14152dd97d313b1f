import assert from "node:assert/strict";
import { test } from "node:test";
import { readExposition } from "./exposition-reader.ts";

const wrong: [string, string, "prometheus" | "openmetrics"][] = [
  ["no end of line", "a 1", "prometheus"],
  ["no EOF", "# TYPE a gauge\na 1\n", "openmetrics"],
  ["a sample without a family", "a 1\n", "prometheus"],
  ["a sample of another family", "# TYPE a gauge\nb 1\n", "prometheus"],
  ["a counter without _total in OpenMetrics", "# TYPE a counter\na 1\n# EOF\n", "openmetrics"],
  ["a series twice", "# TYPE a gauge\na 1\na 2\n", "prometheus"],
  ["a family in two places", "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\n", "prometheus"],
  ["a comment after samples", "# TYPE a gauge\na 1\n# HELP a x\n", "prometheus"],
  ["an unknown comment", "# NOTE a\n", "prometheus"],
  ["an empty line", "# TYPE a gauge\n\na 1\n", "prometheus"],
  ["a unit that does not fit", "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n", "openmetrics"],
  ["no number", "# TYPE a gauge\na one\n", "prometheus"],
  ["a negative counter", "# TYPE a counter\na -1\n", "prometheus"],
  ["a wrong escape", '# TYPE a gauge\na{b="\\x"} 1\n', "prometheus"],
  ["a label twice", '# TYPE a gauge\na{b="1",b="2"} 1\n', "prometheus"],
  ["a comma at the end", '# TYPE a gauge\na{b="1",} 1\n', "prometheus"],
  [
    "an exemplar in the old format",
    '# TYPE a histogram\na_bucket{le="+Inf"} 1 # {t="x"} 1\na_sum 1\na_count 1\n',
    "prometheus",
  ],
  [
    "buckets that fall",
    '# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
    "prometheus",
  ],
  ["no +Inf bucket", '# TYPE a histogram\na_bucket{le="1"} 2\na_sum 1\na_count 2\n', "prometheus"],
  ["a count that differs", '# TYPE a histogram\na_bucket{le="+Inf"} 2\na_sum 1\na_count 1\n', "prometheus"],
  ["a bucket without le", "# TYPE a histogram\na_bucket 2\na_sum 1\na_count 1\n", "prometheus"],
];
for (const [name, text, format] of wrong) {
  test(`the strict reader refuses ${name}`, () => {
    assert.throws(() => readExposition(text, format));
  });
}
