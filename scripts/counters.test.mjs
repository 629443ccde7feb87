import assert from "node:assert/strict";
import { test } from "node:test";
import { counters } from "./counters.mjs";

function check(runner, text, passed, failed) {
  test(`${runner}: ${passed} passed, ${failed} failed`, () => {
    assert.deepEqual(counters[runner](text), { passed, failed });
  });
}

check(
  "nextest",
  `
        PASS [   0.002s] (1/4) vmad-quant tests::one_9_passed
     Summary [   2.345s] 12 tests run: 9 passed (1 slow, 1 flaky), 2 failed, 1 timed out, 3 skipped
`,
  9,
  3,
);
check("nextest", "     Summary [   0.010s] 3 tests run: 3 passed, 0 skipped\n", 3, 0);
check("nextest", "error: could not compile `vmad-quant`\n", 0, 0);
check(
  "libtest",
  `
test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s
test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out
`,
  7,
  3,
);
check(
  "vitest",
  `
 Test Files  1 failed | 1 passed (2)
      Tests  \u001b[31m1 failed\u001b[39m | \u001b[32m11 passed\u001b[39m (12)
`,
  11,
  1,
);
check(
  "playwright",
  `
  ✓  1 [page] › page.spec.ts:5:1 › 3 passed photographs (1.2s)
  2 failed
    [page] › page.spec.ts:9:1 › thresholds are live
  1 did not run
  7 passed (31.2s)
`,
  7,
  3,
);
check("node", "TAP version 13\n# tests 4\n# pass 3\n# fail 1\n", 3, 1);
