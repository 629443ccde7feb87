/** `npm test`: sets the machine up, runs every suite, and counts at the end. */
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { formatTime, nodeBin, npm, output, Problem, runAndRead, runMain } from "./lib.mjs";
import {
  browser,
  buildWasm,
  hasSoftwareVulkan,
  setUp,
  setUpTests,
  WASM_TEST_RUNNER,
} from "./setup.mjs";
import { counters } from "./counters.mjs";

/** The profile of the shipped wasm, so that both share their dependencies. */
const WEB = ["--profile", "web"];
const WASM_TARGET = "wasm32-unknown-unknown";
const WASM = ["--package", "vmad-web", "--target", WASM_TARGET, ...WEB];
// Natively vmad-web would turn on features that make all of burn build once more.
const NATIVE = ["--release", "--workspace", "--exclude", "vmad-web"];

const UNIT_TESTS = ["scripts/counters.test.mjs", "bench/compare/models.test.mjs"];
// Doc tests are a separate step.
const NO_DOC_TESTS = ["--lib", "--bins", "--tests", "--examples"];

const [npmProgram, npmArgs] = npm();
const script = (name) => [npmProgram, [...npmArgs, "run", "--silent", name]];

/** The suites in order. A step without a counter is one check. */
const SUITES = {
  lint: {
    title: "Formatting and lints of Rust",
    steps: () => [
      { command: ["cargo", ["fmt", "--all", "--check"]] },
      { command: ["cargo", ["xtask", "tidy"]] },
      { command: ["cargo", ["xtask", "versions"]] },
      { command: ["cargo", ["clippy", ...NATIVE, "--all-targets", "--", "-D", "warnings"]] },
    ],
  },
  native: {
    title: "Unit, parity and golden tests, natively",
    steps: () => {
      const [tests, count] = output("cargo", ["nextest", "--version"])
        ? [["nextest", "run", ...NATIVE], counters.nextest]
        : [["test", ...NATIVE, ...NO_DOC_TESTS], counters.libtest];
      return [
        // The first build of all tests takes half an hour on a busy machine.
        { command: ["cargo", [...tests, "--no-run"]], limitMinutes: 60 },
        { command: ["cargo", [...tests, "--no-fail-fast"]], count },
        { command: ["cargo", ["test", ...NATIVE, "--doc"]], count: counters.libtest },
      ];
    },
  },
  web: {
    title: "Lints and unit tests of the page and its library",
    steps: () => [
      { command: script("lint:web") },
      { command: script("test:web"), count: counters.vitest },
      {
        command: ["node", ["--test", "--test-reporter=tap", ...UNIT_TESTS]],
        count: counters.node,
      },
    ],
  },
  wasm: {
    title: "vmad-web: lints, and in Chromium WebGPU against the CPU",
    steps: () => [
      {
        // vmad-web's list of blocking calls applies to all crates that run in the browser.
        command: ["cargo", ["clippy", ...WASM, "--", "-D", "warnings"]],
        extraEnv: { CLIPPY_CONF_DIR: "crates/vmad-web" },
      },
      {
        command: ["cargo", ["test", ...WASM, "--lib", "--tests", "--no-fail-fast"]],
        count: counters.libtest,
        extraEnv: {
          [`CARGO_TARGET_${WASM_TARGET.toUpperCase().replaceAll("-", "_")}_RUNNER`]:
            WASM_TEST_RUNNER,
          WASM_BINDGEN_TEST_ONLY_WEB: "1",
          ...driverEnv(),
          // An emulated GPU takes its time.
          WASM_BINDGEN_TEST_TIMEOUT: "900",
        },
      },
    ],
  },
  page: {
    title: "The page in Chromium",
    steps: () => [
      {
        command: nodeBin("@playwright/test/cli.js", ["test", "--reporter=list"]),
        count: counters.playwright,
        extraEnv: { CHROMIUM: browser().chromium ?? "" },
      },
    ],
  },
  size: {
    title: "Size of the wasm; licences, sources and advisories of the dependencies",
    steps: () => [
      { command: ["cargo", ["xtask", "budget"]] },
      { command: ["cargo", ["deny", "check", "licenses", "bans", "sources"]] },
      {
        command: ["cargo", ["deny", "check", "--disable-fetch", "advisories"]],
        // The database of advisories is a git repository, which not every network reaches.
        needs: {
          command: ["cargo", ["deny", "fetch", "db"]],
          unchecked: "advisories: the database of advisories could not be fetched (see above)",
        },
      },
    ],
  },
};

/** Suites that need the wasm and a browser. */
const BROWSER_SUITES = ["wasm", "page", "size"];

const HELP = `Usage: npm test -- [SUITE…]

Sets the machine up, then runs all suites, or those that are named. A suite that fails does not keep
the later ones from running. The last line counts tests over all suites; a lint counts as one. What
could not be checked is listed before it.

${Object.entries(SUITES)
  .map(([name, { title }]) => `  ${name.padEnd(8)}${title}`)
  .join("\n")}
`;

await runMain(async () => {
  const names = readNames();
  if (!names) return;
  const inBrowser = names.some((name) => BROWSER_SUITES.includes(name));
  const results = [await timed("set-up", "Set-up", () => prepare(inBrowser))];
  const [{ canGoOn }] = results;
  for (const name of canGoOn ? names : []) {
    const { title, steps } = SUITES[name];
    results.push(await timed(name, title, () => runSteps(steps())));
  }
  report(results);
});

function readNames() {
  let parsed;
  try {
    parsed = parseArgs({ options: { help: { type: "boolean" } }, allowPositionals: true });
  } catch (error) {
    throw new Problem(`${error.message}\n\n${HELP}`);
  }
  if (parsed.values.help) {
    console.log(HELP);
    return undefined;
  }
  const unknown = parsed.positionals.find((name) => !(name in SUITES));
  if (unknown) throw new Problem(`There is no suite ${unknown}.\n\n${HELP}`);
  return parsed.positionals.length > 0 ? parsed.positionals : Object.keys(SUITES);
}

/** Nothing can run without the first step. A failure of another one is counted and reported. */
function prepare(inBrowser) {
  const total = { passed: 0, failed: 0, unchecked: [], canGoOn: true };
  const steps = inBrowser ? [setUp, buildWasm, setUpTests] : [setUp, setUpTests];
  for (const step of steps) {
    try {
      if (total.canGoOn) step(inBrowser);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      console.error(`\n${error.message}`);
      total.failed += 1;
      if (step === setUp) total.canGoOn = false;
    }
  }
  return total;
}

async function runSteps(steps) {
  const total = { passed: 0, failed: 0, unchecked: [] };
  for (const { command, count, extraEnv, limitMinutes, needs } of steps) {
    if (needs && (await runStep(needs.command)).status !== 0) {
      console.log(`\nNOT CHECKED: ${needs.unchecked}`);
      total.unchecked.push(needs.unchecked);
      continue;
    }
    const { status, text } = await runStep(command, { extraEnv, limitMinutes });
    const { passed, failed } = judge(status, count?.(text));
    total.passed += passed;
    total.failed += failed;
  }
  return total;
}

function runStep([program, args], { extraEnv, limitMinutes } = {}) {
  console.log(`\n$ ${[program, ...args].join(" ")}`);
  return runAndRead(program, args, { extraEnv: { ...testEnv(), ...extraEnv }, limitMinutes });
}

/** A runner that fails without a failed test, or finds no tests, counts as one failure. */
function judge(status, counted) {
  if (!counted) return status === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  if (status !== 0) return { ...counted, failed: Math.max(1, counted.failed) };
  if (counted.passed + counted.failed > 0) return counted;
  console.log("\nno tests were found");
  return { passed: 0, failed: 1 };
}

function testEnv() {
  return {
    NO_COLOR: "1",
    CARGO_TERM_COLOR: "never",
    // lavapipe needs it; any writable folder will do.
    XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? "/tmp",
    // A machine with an adapter must not skip GPU tests.
    ...(hasSoftwareVulkan() ? { VMAD_REQUIRE_GPU: "1" } : {}),
  };
}

/** Without a driver the runner says itself what is missing. */
function driverEnv() {
  const { driver } = browser();
  return driver ? { CHROMEDRIVER: driver } : {};
}

async function timed(name, title, work) {
  console.log(`\n${"=".repeat(80)}\n${title}\n${"=".repeat(80)}`);
  const start = performance.now();
  const counts = await work();
  const ms = performance.now() - start;
  console.log(`\n${title}: ${counts.passed} passed, ${counts.failed} failed, ${formatTime(ms)}`);
  return { name, ms, ...counts };
}

function report(results) {
  console.log(`\n${"=".repeat(80)}`);
  for (const { name, ms, passed, failed } of results) {
    const mark = failed > 0 ? "FAILED" : "ok";
    console.log(
      `${name.padEnd(8)} ${mark.padEnd(7)} ${String(passed).padStart(5)} passed ` +
        `${String(failed).padStart(4)} failed  ${formatTime(ms).padStart(12)}`,
    );
  }
  for (const text of results.flatMap(({ unchecked }) => unchecked)) {
    console.log(`not checked: ${text}`);
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  console.log(`${sum("passed")} passed, ${sum("failed")} failed`);
  process.exitCode = sum("failed") > 0 ? 1 : 0;
}
