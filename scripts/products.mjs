/** Products of packed weights in Chromium, ours beside onnxruntime-web's on the same bytes. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { extname, join } from "node:path";
import { install } from "./gpu-counts.mjs";
import { median, npm, Problem, root, run } from "./lib.mjs";

const FOLDER = join(root, "scripts/race");
const ORIGIN = "http://localhost:4176";
const BLOCK = 32;
/** What a language model of 7B asks for at one token, and an encoder at many. */
const TASKS = [4, 8].flatMap((bits) =>
  [
    [1, 4096, 4096],
    [1, 4096, 11008],
    [256, 1024, 1024],
  ].map(([tokens, cols, rows]) => ({ bits, tokens, cols, rows })),
);
/** Both sides add up in f32, in different orders. */
const TOLERANCE = 1e-4;
const WAIT_MS = 900_000;
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** Builds what the race needs. */
export function prepareProducts() {
  run("cargo", ["xtask", "wasm", "--bench"]);
  if (!existsSync(join(FOLDER, "node_modules/onnxruntime-web"))) {
    const [program, first] = npm();
    run(program, [...first, "ci", "--ignore-scripts"], { cwd: FOLDER });
  }
}

/** Medians of each side in ms, for every task. */
export async function timeProducts(program, runs) {
  const context = await program.newContext();
  const tasks = TASKS.map((task, id) => ({ ...task, id }));
  const made = new Map();
  await context.route(`${ORIGIN}/**`, async (route) => {
    const { pathname } = new URL(route.request().url());
    const [, area, id, part] = pathname.split("/");
    if (area === "case") {
      // Only one is kept: a matrix has up to 45 MB.
      if (!made.has(id)) made.clear();
      if (!made.has(id)) made.set(id, makeCase(tasks[Number(id)]));
      await route.fulfill({ body: made.get(id)[part], contentType: "application/octet-stream" });
      return;
    }
    const path = fileOf(pathname);
    await route.fulfill({ path, contentType: TYPES[extname(path)] ?? "application/octet-stream" });
  });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.on("pageerror", (error) => console.error(`the page says: ${error.message}`));
  await page.addInitScript(install);
  await page.goto(`${ORIGIN}/index.html`);
  await page.waitForFunction(() => globalThis.isReady === true);
  const rows = [];
  for (const task of tasks) {
    const told = await page.evaluate(([one, n]) => globalThis.race(one, n), [task, runs]);
    check(task, told);
    const medians = Object.entries(told.times).map(([side, all]) => [side, median(all)]);
    rows.push({ ...task, ...Object.fromEntries(medians) });
    console.log(
      `${name(task)}: ${medians.map(([side, ms]) => `${side} ${ms.toFixed(1)} ms`).join(", ")}`,
    );
  }
  await context.close();
  return { peer: `onnxruntime-web ${peerVersion()}`, rows };
}

/** The table of {@link timeProducts}. */
export function productsTable({ peer, rows }) {
  const ms = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
  const ratio = (one, other) => (one / other).toFixed(2);
  return [
    `\nProducts of packed weights, ours beside ${peer} (\`MatMulNBits\`, blocks of ${BLOCK}, the same bytes), uploaded, computed and read back:\n`,
    "| Bits | tokens × columns × rows | ours, WebGPU | peer, WebGPU | ratio | ours, wasm | peer, wasm | ratio |",
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...rows.map(({ bits, tokens, cols, rows: n, gpu, webgpu, cpu, wasm }) => {
      const cells = [bits, `${tokens} × ${cols} × ${n}`];
      cells.push(ms(gpu), ms(webgpu), ratio(gpu, webgpu), ms(cpu), ms(wasm), ratio(cpu, wasm));
      return `| ${cells.join(" | ")} |`;
    }),
  ].join("\n");
}

function name({ bits, tokens, cols, rows }) {
  return `int${bits}, ${tokens} × ${cols} × ${rows}`;
}

/** A side that computed elsewhere, or something else, has no time worth telling. */
function check(task, { asked, differences }) {
  for (const [side, difference] of Object.entries(differences)) {
    if (!(difference <= TOLERANCE)) {
      throw new Problem(`${name(task)}: ${side} differs by ${difference} from the peer's wasm`);
    }
  }
  for (const side of ["gpu", "webgpu"]) {
    if (asked[side] === 0) throw new Problem(`${name(task)}: ${side} asked nothing of the GPU`);
  }
}

function fileOf(pathname) {
  const [, area] = pathname.split("/");
  if (area === "ort") return join(FOLDER, "node_modules/onnxruntime-web/dist", pathname.slice(5));
  if (area === "vmad") return join(root, "target/vmad-bench", pathname.slice(6));
  return join(FOLDER, pathname);
}

function peerVersion() {
  const file = join(FOLDER, "node_modules/onnxruntime-web/package.json");
  return JSON.parse(readFileSync(file, "utf8")).version;
}

/** A matrix and activations at random, as our kernels take them and as an ONNX model. */
function makeCase(task) {
  const { bits, tokens, cols, rows } = task;
  const random = generator(bits * rows + cols);
  const count = rows * cols;
  const values = new Uint8Array((count * bits) / 8);
  // Nibbles of 1 to 15, eight too many; bytes of -127 to 127.
  const nibble = () => 1 + (random() % 15);
  for (let index = 0; index < values.length; index++) {
    values[index] = bits === 4 ? nibble() | (nibble() << 4) : (random() % 255) - 127;
  }
  const scales = Uint16Array.from({ length: count / BLOCK }, () => (8 << 10) | (random() & 1023));
  const x = Float32Array.from({ length: tokens * cols }, () => random() / 2 ** 31 - 1);
  return {
    values: Buffer.from(values.buffer),
    scales: Buffer.from(scales.buffer),
    x: Buffer.from(x.buffer),
    "model.onnx": onnx(task, values, scales),
  };
}

/** Xorshift (Marsaglia 2003): whole numbers below 2³². */
function generator(seed) {
  let state = (seed * 2654435761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** One `MatMulNBits` of the domain com.microsoft: its values have no sign but a zero point in the middle. */
function onnx({ bits, tokens, cols, rows }, values, scales) {
  const require = createRequire(join(FOLDER, "package.json"));
  const proto = require("protobufjs").parse(readFileSync(join(FOLDER, "onnx.proto"), "utf8"));
  const Model = proto.root.lookupType("onnx.ModelProto");
  const [FLOAT, UINT8, INT] = [1, 2, 2];
  const unsigned = bits === 4 ? values : values.map((byte) => byte ^ 0x80);
  // The scales are normal numbers of half precision.
  const floats = Float32Array.from(
    scales,
    (half) => (1 + (half & 1023) / 1024) * 2 ** ((half >> 10) - 15),
  );
  const attribute = ([key, i]) => ({ name: key, i, type: INT });
  const value = (key, dims) => ({
    name: key,
    type: {
      tensorType: { elemType: FLOAT, shape: { dim: dims.map((dimValue) => ({ dimValue })) } },
    },
  });
  const tensor = (key, dims, dataType, data) => ({
    name: key,
    dims,
    dataType,
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  });
  const blocks = cols / BLOCK;
  const options = { K: cols, N: rows, bits, block_size: BLOCK, accuracy_level: 0 };
  const node = {
    input: ["x", "w", "s"],
    output: ["y"],
    opType: "MatMulNBits",
    domain: "com.microsoft",
    attribute: Object.entries(options).map(attribute),
  };
  const graph = {
    name: "product",
    node: [node],
    initializer: [
      tensor("w", [rows, blocks, (BLOCK * bits) / 8], UINT8, unsigned),
      tensor("s", [rows * blocks], FLOAT, floats),
    ],
    input: [value("x", [tokens, cols])],
    output: [value("y", [tokens, rows])],
  };
  const opsets = [
    { domain: "", version: 21 },
    { domain: "com.microsoft", version: 1 },
  ];
  return Buffer.from(
    Model.encode(Model.create({ irVersion: 10, opsetImport: opsets, graph })).finish(),
  );
}
