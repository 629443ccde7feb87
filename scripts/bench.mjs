/**
 * `npm run bench`: times of a model natively and in Chromium, and of its parts and of products beside
 * onnxruntime-web (the peer).
 */
import { readFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { prepareComparison } from "../bench/compare/harness.mjs";
import { modelsTable, timeModels } from "../bench/compare/models.mjs";
import { productsTable, timeProducts } from "../bench/compare/products.mjs";
import { countInWorkers, difference, readCounts } from "./gpu-counts.mjs";
import { median, output, Problem, root, run, runAndRead, runMain } from "./lib.mjs";
import { browser, buildPage, buildWasm, setUp } from "./setup.mjs";

const HELP = `Usage: npm run bench -- [options]

Inspects one photograph several times with a model package and prints the median time of each
stage, natively and in Chromium, and the time until the page is ready. On a GPU it also counts
launches, uploads and pipelines. Then it compares products with packed weights, and the encoders and
the language model of the package, with onnxruntime-web in the same page: on WebGPU (emulated if there
is no other) and in wasm on one thread.

  --model NAME    folder in models/ (default tiny)
  --runs N        timed runs, after one warm-up run (default 5)
  --device NAME   auto, cpu or gpu (default cpu)
  --only PART     inspection, products or models (default all)
  --features LIST optional GPU features of our shaders in the comparison: none, or some of
                  subgroups,packed,f16 (default: those that do not round)
  --json          print one JSON object instead of a table
  --help          print this
`;
const OPTIONS = {
  model: { type: "string", default: "tiny" },
  runs: { type: "string", default: "5" },
  device: { type: "string", default: "cpu" },
  only: { type: "string" },
  features: { type: "string" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};
const PARTS = ["inspection", "products", "models"];
const FEATURES = ["none", "subgroups", "packed", "f16"];
const PHOTO = "tests/photos/coins.png";
const OBJECT = "coins";
const WAIT_MS = 300_000;
/** The page is idle after this time without a launch. */
const IDLE_MS = 2000;
const CHROMIUM_ARGS = JSON.parse(
  readFileSync(join(root, "crates/vmad-web/webdriver.json"), "utf8"),
)["goog:chromeOptions"].args.filter((argument) => !argument.startsWith("--headless"));

await runMain(async () => {
  const options = readOptions();
  if (options.help) {
    console.log(HELP);
    return;
  }
  setUp();
  const parts = options.only === undefined ? PARTS : [options.only];
  const result = { machine: machine(), model: options.model };
  if (parts.includes("inspection")) {
    result.native = await timeNative(options);
    buildWasm();
    buildPage();
    result.page = await inBrowser((program) => timePage(program, options));
  }
  if (parts.includes("products") || parts.includes("models")) prepareComparison();
  if (parts.includes("products")) {
    result.products = await inBrowser((program) =>
      timeProducts(program, options.runs, options.features),
    );
  }
  if (parts.includes("models")) {
    result.parts = await inBrowser((program) =>
      timeModels(program, options.model, options.runs, options.features),
    );
  }
  console.log(options.json ? JSON.stringify(result, null, 2) : report(result, options));
});

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({ options: OPTIONS }));
  } catch (error) {
    throw new Problem(`${error.message}\n\n${HELP}`);
  }
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) {
    throw new Problem(`--runs ${values.runs}: expected a whole number of at least 1`);
  }
  if (values.only !== undefined && !PARTS.includes(values.only)) {
    throw new Problem(`--only ${values.only}: expected one of ${PARTS.join(", ")}`);
  }
  const features = values.features?.split(",");
  const unknown = features?.find((name) => !FEATURES.includes(name));
  if (unknown !== undefined) {
    throw new Problem(`--features ${unknown}: expected some of ${FEATURES.join(", ")}`);
  }
  return { ...values, runs, features };
}

/** Calls `use` with a running Chromium. */
async function inBrowser(use) {
  // Imported here, because a fresh machine has it only after the set-up.
  const { chromium } = await import("@playwright/test");
  const executablePath = browser().chromium;
  if (!executablePath) throw new Problem("Chromium is missing; `npm test` says how to install it.");
  const program = await chromium.launch({ executablePath, args: CHROMIUM_ARGS });
  try {
    return await use(program);
  } finally {
    await program.close();
  }
}

async function timeNative({ model, runs, device }) {
  const cargo = ["--release", "--package", "vmad-cli"];
  run("cargo", ["build", ...cargo]);
  const photos = Array(runs + 1).fill(PHOTO);
  const question = ["--object", OBJECT, "--ask", "description", "--device", device, "--json"];
  const vmad = ["inspect", `models/${model}`, ...photos, ...question];
  const { status, text } = await runAndRead("cargo", ["run", "--quiet", ...cargo, "--", ...vmad]);
  const lines = text.split("\n").filter((line) => line.startsWith("{"));
  if (status !== 0 || lines.length !== runs + 1) {
    throw new Problem(`vmad inspect ended with status ${status} and ${lines.length} results`);
  }
  const results = lines.map((line) => JSON.parse(line));
  return { device: results[0].device, ...medians(results.map(({ timings }) => timings)) };
}

async function timePage(program, { model, runs, device }) {
  const { preview } = await import("vite");
  const server = await preview({
    configFile: join(root, "vite.config.ts"),
    // Any free port.
    preview: { port: 0 },
  });
  try {
    const page = await program.newPage();
    page.setDefaultTimeout(WAIT_MS);
    const address = `${server.resolvedUrls.local[0]}?model=${encodeURIComponent(model)}`;
    const open = async () => {
      const start = performance.now();
      await page.goto(address);
      await page.getByText("Ready on").waitFor();
      return performance.now() - start;
    };
    await open();
    const readyMs = await open();
    const times = await inspectOnPage(page, device, runs);
    const counts = times.device === "CPU" ? undefined : await countOnPage(program, address, device);
    return { version: program.version(), readyMs, ...times, asked: counts };
  } finally {
    await server.close();
  }
}

/** Counts the GPU commands of the start-up, of the first inspection, and of a further one. */
async function countOnPage(program, address, device) {
  const context = await program.newContext({ serviceWorkers: "block" });
  await countInWorkers(context);
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const startMs = [];
  for (let visit = 0; visit < 2; visit++) {
    await page.goto(address);
    await page.getByText("Ready on").waitFor();
    const begin = performance.now();
    await choose(page, device);
    startMs.push(performance.now() - begin);
  }
  const { counts: atReady } = await waitUntilCompiled(page);
  await inspectFirst(page);
  const first = await readCounts(page);
  await page.locator("#inspect").click();
  await page.locator("#inspect:enabled").waitFor();
  const inspection = difference(first, await readCounts(page));
  const { n_layers: layers } = JSON.parse(
    readFileSync(join(root, "models", new URL(address).searchParams.get("model"), "model.json")),
  ).config.llm;
  await context.close();
  const { compiling, counts } = first;
  return { layers, startMs, atReady, most: compiling.most, upToFirst: counts, inspection };
}

/** The counts once no pipeline has been compiled for {@link IDLE_MS}. */
async function waitUntilCompiled(page) {
  for (;;) {
    const before = await readCounts(page);
    await sleep(IDLE_MS);
    const after = await readCounts(page);
    if (after.compiling.now === 0 && after.counts.dispatches === before.counts.dispatches)
      return after;
  }
}

/** Operates the page as a user would and reads the times from the results that it saves. */
async function inspectOnPage(page, device, runs) {
  await choose(page, device);
  await inspectFirst(page);
  const results = [];
  for (let index = 0; index <= runs; index++) {
    if (index > 0) {
      await page.locator("#inspect").click();
      await page.locator("#inspect:enabled").waitFor();
    }
    const download = page.waitForEvent("download");
    await page.locator("#save-json").click();
    results.push(JSON.parse(readFileSync(await (await download).path(), "utf8")));
  }
  return { device: results[0].device, ...medians(results.map(({ timings }) => timings)) };
}

async function choose(page, device) {
  await page.locator("#device").selectOption(device);
  // Until then the line still shows the previous device.
  const kind = device === "gpu" ? '[data-device="gpu"]' : "[data-device]";
  await page.locator(`#device-line${kind}`).waitFor();
}

/** Chooses question and photograph, which starts an inspection. */
async function inspectFirst(page) {
  await page.locator("#object").fill(OBJECT);
  await page.locator("#ask").selectOption("description");
  await page.setInputFiles("#file", join(root, PHOTO));
  await page.locator("#inspect:enabled").waitFor();
}

/** Medians of each stage and of the total; the first run is the warm-up and reported separately. */
function medians(allTimings) {
  const total = (timings) => timings.reduce((sum, [, ms]) => sum + ms, 0);
  const timed = allTimings.slice(1);
  const stages = timed[0].map(([stage]) => stage);
  const value = (timings, name) =>
    timings.filter(([stage]) => stage === name).reduce((sum, [, ms]) => sum + ms, 0);
  return {
    stages: [...new Set(stages)].map((stage) => [
      stage,
      median(timed.map((timings) => value(timings, stage))),
    ]),
    totalMs: median(timed.map(total)),
    firstMs: total(allTimings[0]),
  };
}

function machine() {
  const [{ model }] = cpus();
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  const rust = output("rustc", ["--version"]);
  return `${model.trim()}, ${cpus().length} threads, ${gibibytes} GiB; ${type()} ${release()}, ${rust}`;
}

function report({ machine: name, model, native, page, products, parts }, { runs }) {
  return [
    `\nMedian of ${runs} runs; ${name}`,
    ...(page === undefined ? [] : [table({ model, native, page })]),
    ...(products === undefined ? [] : [productsTable(products)]),
    ...(parts === undefined ? [] : [modelsTable(parts)]),
  ].join("\n");
}

function table({ model, native, page }) {
  const stages = [...new Set([...native.stages, ...page.stages].map(([stage]) => stage))];
  const format = (ms) => (ms === undefined ? "–" : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`);
  const at = ({ stages: all }, name) => format(all.find(([stage]) => stage === name)?.[1]);
  const rows = [
    ["Stage", `native (${native.device})`, `Chromium ${page.version} (${page.device})`],
    ["---", "---:", "---:"],
    ...stages.map((stage) => [stage, at(native, stage), at(page, stage)]),
    ["**inspection in all**", format(native.totalMs), format(page.totalMs)],
    ["the first one", format(native.firstMs), format(page.firstMs)],
    ["page ready, warm cache", "–", format(page.readyMs)],
  ];
  return [
    `\nmodels/${model}, ${PHOTO}\n`,
    ...rows.map((row) => `| ${row.join(" | ")} |`),
    ...(page.asked === undefined ? [] : countsTable(page.asked)),
  ].join("\n");
}

function countsTable({ layers, startMs, atReady, most, upToFirst, inspection }) {
  const { steps, ...counts } = inspection;
  const names = {
    dispatches: "launches",
    submissions: "submissions",
    uploadBytes: "bytes uploaded",
    pipelines: "pipelines compiled",
    pipelinesAhead: "of them ahead of need",
    readbacks: "buffers read back",
  };
  const row = ([key, title]) =>
    `| ${title} | ${atReady[key]} | ${upToFirst[key] - atReady[key]} | ${counts[key]} |`;
  return [
    "\n| Asked of the GPU | start-up | first inspection | one more |",
    "| --- | ---: | ---: | ---: |",
    ...Object.entries(names).map(row),
    `\nPipelines that were compiled at a time: ${most} at most. From the choice of the GPU to "Ready": ` +
      `${startMs.map((ms) => (ms / 1000).toFixed(1)).join(" s, on the next visit ")} s.`,
    `\nLaunches for each token of the answer: ${median(steps)}, in ${layers} blocks.`,
  ];
}
