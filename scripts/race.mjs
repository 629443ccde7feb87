/** What races against onnxruntime-web share: a page with both, random numbers, what a result must be. */
import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { install } from "./gpu-counts.mjs";
import { median, npm, Problem, root, run } from "./lib.mjs";

const FOLDER = join(root, "scripts/race");
const ORIGIN = "http://localhost:4176";
const WAIT_MS = 900_000;
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** Builds what a race needs. */
export function prepareRace() {
  run("cargo", ["xtask", "wasm", "--bench"]);
  if (!existsSync(join(FOLDER, "node_modules/onnxruntime-web"))) {
    const [program, first] = npm();
    run(program, [...first, "ci", "--ignore-scripts"], { cwd: FOLDER });
  }
}

/**
 * Gives `use` a page with both sides, to which `serve(id, part)` hands the parts of cases. `features` are the
 * optional features of the GPU for our shaders, by their names in `shaders/README.md`.
 */
export async function onRacePage(program, serve, features, use) {
  const context = await program.newContext();
  await context.route(`${ORIGIN}/**`, async (route) => {
    const { pathname } = new URL(route.request().url());
    const [, area, id, part] = pathname.split("/");
    if (area === "case") {
      await route.fulfill({ body: serve(id, part), contentType: "application/octet-stream" });
      return;
    }
    const path = fileOf(pathname);
    await route.fulfill({ path, contentType: TYPES[extname(path)] ?? "application/octet-stream" });
  });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.on("pageerror", (error) => console.error(`the page says: ${error.message}`));
  await page.addInitScript(install);
  const query = features === undefined ? "" : `?features=${features.join("+")}`;
  await page.goto(`${ORIGIN}/index.html${query}`);
  await page.waitForFunction(() => globalThis.isReady === true);
  try {
    return await use(page);
  } finally {
    await context.close();
  }
}

function fileOf(pathname) {
  const [, area] = pathname.split("/");
  if (area === "ort") return join(FOLDER, "node_modules/onnxruntime-web/dist", pathname.slice(5));
  if (area === "vmad") return join(root, "target/vmad-bench", pathname.slice(6));
  return join(FOLDER, pathname);
}

/**
 * How far each side may be from the peer's wasm, of the largest result. Floats are added in another order; what
 * our wasm multiplies is rounded to 16 bits before.
 */
const TOLERANCES = { gpu: 1e-5, webgpu: 1e-5, cpu: 3e-4, wasm: 0 };
/** The same for our shaders where they use a feature that rounds: to 11 bits, to 16. */
const ROUNDING = { f16: 3e-3, packed: 3e-4 };

/** Medians of what the page told, of each side; a side that computed elsewhere, or something else, has none. */
export function medians(name, { times, asked, differences }, features = []) {
  const rounding = features.map((feature) => ROUNDING[feature] ?? 0);
  const tolerances = { ...TOLERANCES, gpu: Math.max(TOLERANCES.gpu, ...rounding) };
  for (const [side, difference] of Object.entries(differences)) {
    if (!(difference <= tolerances[side])) {
      throw new Problem(`${name}: ${side} differs by ${difference} from the peer's wasm`);
    }
  }
  for (const side of ["gpu", "webgpu"]) {
    if (asked[side] === 0) throw new Problem(`${name}: ${side} asked nothing of the GPU`);
  }
  const found = Object.entries(times).map(([side, all]) => [side, median(all)]);
  console.log(`${name}: ${found.map(([side, value]) => `${side} ${ms(value)}`).join(", ")}`);
  return Object.fromEntries(found);
}

/** Cells of a table: ours and the peer's with their ratio, on WebGPU and in wasm. */
export function timeCells({ gpu, webgpu, cpu, wasm }) {
  const ratio = (one, other) => (one / other).toFixed(2);
  return [ms(gpu), ms(webgpu), ratio(gpu, webgpu), ms(cpu), ms(wasm), ratio(cpu, wasm)];
}

/** Headings of {@link timeCells}. */
export const TIME_HEADINGS = [
  ...["ours, WebGPU", "peer, WebGPU", "ratio"],
  ...["ours, wasm", "peer, wasm", "ratio"],
];

function ms(value) {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

/** Name and version of the other side. */
export function peer() {
  const file = join(FOLDER, "node_modules/onnxruntime-web/package.json");
  return `onnxruntime-web ${JSON.parse(readFileSync(file, "utf8")).version}`;
}

/** Xorshift (Marsaglia 2003): whole numbers below 2³². */
export function generator(seed) {
  let state = (seed * 2654435761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** `count` numbers from -1 to 1. */
export function randomFloats(random, count) {
  return Float32Array.from({ length: count }, () => random() / 2 ** 31 - 1);
}

/** The bytes of a typed array. */
export function bytesOf(array) {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength);
}
