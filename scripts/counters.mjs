/** Parses the numbers of passed and failed tests from the output of each test runner. */

// eslint-disable-next-line no-control-regex -- colours are made of control characters
const COLOURS = /\u001b\[[\d;]*m/g;

/** Adds up the `number word` pairs of these words, e.g. `3 failed`. */
function sum(text, words) {
  const pattern = new RegExp(`(\\d+) (?:${words.join("|")})\\b`, "g");
  return [...text.matchAll(pattern)].reduce((total, [, number]) => total + Number(number), 0);
}

function linesWith(text, pattern) {
  return text
    .replace(COLOURS, "")
    .split("\n")
    .filter((line) => pattern.test(line))
    .join("\n");
}

const counter = (linePattern, passed, failed) => (text) => {
  const lines = linesWith(text, linePattern);
  return { passed: sum(lines, passed), failed: sum(lines, failed) };
};

export const counters = {
  /** `Summary [ 0.1s] 3 tests run: 2 passed (1 slow), 1 failed, 4 skipped` */
  nextest: counter(/^\s*Summary \[/, ["passed"], ["failed", "timed out", "exec failed"]),
  /** `test result: ok. 2 passed; 0 failed; …`, one line for each binary */
  libtest: counter(/^\s*test result: /, ["passed"], ["failed"]),
  /** `# pass 2` and `# fail 1` of `node --test` in the TAP form */
  node: (text) => ({
    passed: Number(/^# pass (\d+)$/m.exec(text)?.[1] ?? 0),
    failed: Number(/^# fail (\d+)$/m.exec(text)?.[1] ?? 0),
  }),
  /** `Tests  1 failed | 2 passed (3)` */
  vitest: counter(/^\s*Tests {2}/, ["passed"], ["failed"]),
  /** `  2 passed (3.4s)`, `  1 failed`, `  1 flaky`, each on its line */
  playwright: counter(
    /^\s+\d+ (passed|failed|flaky|did not run|interrupted)\b/,
    ["passed"],
    ["failed", "flaky", "did not run", "interrupted"],
  ),
};
