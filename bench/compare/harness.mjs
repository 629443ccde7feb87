/** Shared code of the comparisons with onnxruntime-web: the page, random numbers, and checks of results. */
import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { install } from "../../scripts/gpu-counts.mjs";
import { median, npm, Problem, root, run } from "../../scripts/lib.mjs";

const FOLDER = import.meta.dirname;
/** Nothing listens there: {@link onComparePage} answers every request itself. */
const ORIGIN = "http://localhost";
const WAIT_MS = 900_000;
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** Builds our side and installs the peer. */
export function prepareComparison() {
  run("cargo", ["xtask", "wasm", "--bench"]);
  if (!existsSync(join(FOLDER, "node_modules/onnxruntime-web"))) {
    const [program, first] = npm();
    run(program, [...first, "ci", "--ignore-scripts"], { cwd: FOLDER });
  }
}

/**
 * Calls `use` with a page that has loaded both sides. `serve(id, part)` returns the bytes of the cases that
 * the page fetches. `features` are the optional GPU features for our shaders, by their names in
 * `shaders/README.md`.
 */
export async function onComparePage(program, serve, features, use) {
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
  page.on("pageerror", (error) => console.error(`error in the page: ${error.message}`));
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
  return join(FOLDER, "page", pathname);
}

/**
 * Largest relative error of each side against the peer's wasm. The order of float sums differs; our wasm
 * rounds the factors to 16 bits.
 */
const TOLERANCES = { gpu: 1e-5, webgpu: 1e-5, cpu: 3e-4, wasm: 0 };
/** The same for our shaders with a feature that rounds: to 11 bits, to 16. */
const ROUNDING = { f16: 3e-3, packed: 3e-4 };

/**
 * Median time of each side in ms. Throws if a result is outside its tolerance or a GPU side did not use the
 * GPU.
 */
export function medians(name, { times, dispatchCounts, errors }, features = []) {
  const rounding = features.map((feature) => ROUNDING[feature] ?? 0);
  const tolerances = { ...TOLERANCES, gpu: Math.max(TOLERANCES.gpu, ...rounding) };
  for (const [side, error] of Object.entries(errors)) {
    if (!(error <= tolerances[side])) {
      throw new Problem(`${name}: ${side} differs by ${error} from the peer's wasm`);
    }
  }
  for (const side of ["gpu", "webgpu"]) {
    if (dispatchCounts[side] === 0)
      throw new Problem(`${name}: ${side} launched nothing on the GPU`);
  }
  const sides = Object.entries(times).map(([side, all]) => [side, median(all)]);
  console.log(`${name}: ${sides.map(([side, value]) => `${side} ${ms(value)}`).join(", ")}`);
  return Object.fromEntries(sides);
}

/** Table cells: our time, the peer's and their ratio, on WebGPU and in wasm. */
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

/** Name and version of the peer. */
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

/** `count` uniform random numbers from -1 to 1. */
export function randomFloats(random, count) {
  return Float32Array.from({ length: count }, () => random() / 2 ** 31 - 1);
}

/** The bytes of a typed array. */
export function bytesOf(array) {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength);
}
