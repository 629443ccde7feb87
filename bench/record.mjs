/** Records what the shipped model says about 40 pictures, and compares two such recordings. */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { env, Problem, root, runMain } from "../scripts/lib.mjs";
import { browser } from "../scripts/setup.mjs";

const HELP = `Usage: node bench/record.mjs OUT.json [--binary FILE] [--page DIR]
       node bench/record.mjs --compare BEFORE.json AFTER.json

Inspects 40 pictures (tests/photos and scenes of every world, which the command draws anew) with
models/tiny on the CPU and writes scores, maps, regions and answers to OUT.json, with --page also 5
of them in Chromium. A change that must not alter results records before and after; --compare lists
every difference and fails if there is one.

  --binary FILE   the vmad command (default target/release/vmad)
  --page DIR      the built page, for instance www/dist
  --compare       compare two recordings: maps and scores within 1e-5, all else equal
  --help          print this
`;
const OPTIONS = {
  binary: { type: "string", default: "target/release/vmad" },
  page: { type: "string" },
  compare: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

/** Largest difference of two scores or map values that counts as none: f32 sums in another order. */
const TOLERANCE = 1e-5;
const SCENES = [
  ["workshop", ["--seed", "31", "--count", "10", "--world", "workshop"]],
  ["unseen", ["--seed", "32", "--count", "8", "--split", "unseen"]],
  ["studio", ["--seed", "33", "--count", "6", "--world", "studio"]],
  ["painted", ["--seed", "34", "--count", "9", "--photos", "tests/photos"]],
];
const PHOTOS = "tests/photos";
const IS_PHOTO = /\.(png|jpe?g|webp)$/;
/** What is asked about the pictures, in turn. */
const QUESTIONS = [
  ["--ask", "description"],
  ["--ask", "impact", "--object", "part"],
  ["--ask", "Is it safe to use?", "--object", "bolt", "--normal", "Scratches are allowed."],
  ["--ask", "suggestion"],
  [],
];
const N_IN_PAGE = 5;

await runMain(async () => {
  const { options, files } = readOptions();
  if (options.help) console.log(HELP);
  else if (options.compare) compare(...files.map((file) => JSON.parse(readFileSync(file, "utf8"))));
  else await record(files[0], options);
});

function readOptions() {
  let parsed;
  try {
    parsed = parseArgs({ options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Problem(`${error.message}\n\n${HELP}`);
  }
  const { values: options, positionals: files } = parsed;
  const wanted = options.compare ? 2 : 1;
  if (!options.help && files.length !== wanted) {
    throw new Problem(`${files.length} files were given, ${wanted} needed\n\n${HELP}`);
  }
  return { options, files };
}

async function record(out, { binary, page }) {
  const folder = mkdtempSync(join(tmpdir(), "vmad-record-"));
  try {
    const vmad = resolve(binary);
    const pictures = drawPictures(vmad, folder);
    const native = pictures.map((picture, index) => inspectNatively(vmad, picture, index, folder));
    const inPage = page === undefined ? [] : await inspectInPage(resolve(page), pictures);
    writeFileSync(out, JSON.stringify({ native, page: inPage }));
    console.log(`${native.length} pictures natively and ${inPage.length} in Chromium: ${out}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Name and path of each picture: the photographs, then scenes of every world. */
function drawPictures(vmad, folder) {
  const inFolder = (name, path) =>
    readdirSync(path)
      .filter((file) => IS_PHOTO.test(file))
      .sort()
      .map((file) => ({ name: `${name}/${file}`, path: join(path, file) }));
  const scenes = SCENES.flatMap(([name, options]) => {
    const path = join(folder, name);
    execute(vmad, ["synth", path, ...options]);
    return inFolder(name, join(path, "images"));
  });
  return [...inFolder("photos", join(root, PHOTOS)), ...scenes];
}

function inspectNatively(vmad, { name, path }, index, folder) {
  const trace = join(folder, "trace.safetensors");
  const question = QUESTIONS[index % QUESTIONS.length];
  const options = ["--device", "cpu", "--json", "--trace", trace, ...question];
  const result = JSON.parse(execute(vmad, ["inspect", "models/tiny", path, ...options]));
  const { score, anomalous, regions, answer, timings, seg_produced: segProduced } = result;
  return {
    name,
    sha256: createHash("sha256").update(readFileSync(path)).digest("hex"),
    question,
    score,
    anomalous,
    regions,
    answer,
    segProduced,
    stages: timings.map(([stage]) => stage),
    map: encode(readTensor(trace, "map")),
  };
}

function execute(program, args) {
  const done = spawnSync(program, args, { cwd: root, env, encoding: "utf8", maxBuffer: 2 ** 26 });
  if (done.status === 0) return done.stdout;
  const reason = done.error?.message ?? done.stderr;
  throw new Problem(`${basename(program)} ${args.join(" ")} failed: ${reason}`);
}

/** The f32 values of one tensor of a safetensors file. */
function readTensor(file, name) {
  const bytes = readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, start).toString("utf8"));
  const [from, to] = header[name].data_offsets;
  return new Float32Array(new Uint8Array(bytes.subarray(start + from, start + to)).buffer);
}

function encode(values) {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");
}

function decode(text) {
  return new Float32Array(new Uint8Array(Buffer.from(text, "base64")).buffer);
}

async function inspectInPage(folder, pictures) {
  const { chromium } = await import("@playwright/test");
  const { preview } = await import("vite");
  const server = await preview({
    configFile: false,
    build: { outDir: folder },
    preview: { port: 0 },
  });
  const program = await chromium.launch({
    executablePath: browser().chromium,
    args: ["--no-sandbox", "--disable-background-networking"],
  });
  try {
    const page = await program.newPage();
    page.setDefaultTimeout(120_000);
    await page.addInitScript(keepMaps);
    await page.goto(server.resolvedUrls.local[0]);
    await page.getByText("Ready on").waitFor();
    await page.locator("#device").selectOption("cpu");
    await page.locator("#ask").selectOption("description");
    const results = [];
    for (let index = 0; index < N_IN_PAGE; index++) {
      const at = Math.floor((index * pictures.length) / N_IN_PAGE);
      results.push(await inspectOne(page, pictures[at]));
    }
    return results;
  } finally {
    await program.close();
    await server.close();
  }
}

/** Runs in the page: keeps the last map that a worker sends. */
function keepMaps() {
  const find = (value) => {
    if (value instanceof Float32Array) return value;
    if (typeof value !== "object" || value === null) return undefined;
    return Object.values(value).map(find).find(Boolean);
  };
  const { Worker } = globalThis;
  globalThis.Worker = class extends Worker {
    constructor(...args) {
      super(...args);
      this.addEventListener("message", ({ data }) => {
        globalThis.lastMap = find(data)?.slice() ?? globalThis.lastMap;
      });
    }
  };
}

async function inspectOne(page, { name, path }) {
  await page.setInputFiles("#file", path);
  await page.locator("#inspect:enabled").waitFor();
  const download = page.waitForEvent("download");
  await page.locator("#save-json").click();
  const result = JSON.parse(readFileSync(await (await download).path(), "utf8"));
  const values = await page.evaluate(() => Array.from(globalThis.lastMap));
  const { score, anomalous, regions, answer } = result;
  return { name, score, anomalous, regions, answer, map: encode(Float32Array.from(values)) };
}

function compare(before, after) {
  const differences = ["native", "page"].flatMap((where) => {
    const [a, b] = [before[where], after[where]];
    if (a.length !== b.length) return [`${where}: ${a.length} pictures before, ${b.length} after`];
    return a.flatMap((one, index) => differencesOf(one, b[index]).map((d) => `${where}: ${d}`));
  });
  const n = before.native.length + before.page.length;
  if (differences.length > 0) throw new Problem(differences.join("\n"));
  console.log(`${n} pictures: the same scores, maps (within ${TOLERANCE}), regions and answers`);
}

function differencesOf(a, b) {
  const found = [];
  const { map: mapA, ...restA } = a;
  const { map: mapB, ...restB } = b;
  for (const key of Object.keys(restA)) {
    const difference = distance(restA[key], restB[key]);
    if (difference > TOLERANCE) {
      found.push(`${a.name}: ${key} ${JSON.stringify(restA[key])} → ${JSON.stringify(restB[key])}`);
    }
  }
  const worst = distance([...decode(mapA)], [...decode(mapB)]);
  if (worst > TOLERANCE) found.push(`${a.name}: map differs by ${worst}`);
  return found;
}

/** The largest difference of two numbers in two values of the same form; infinite for all else that differs. */
function distance(a, b) {
  if (typeof a === "number" && typeof b === "number") return Math.abs(a - b);
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) {
    return a === b ? 0 : Infinity;
  }
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return Infinity;
  return keys.reduce((worst, key) => Math.max(worst, distance(a[key], b[key])), 0);
}
