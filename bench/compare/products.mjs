/** Products with packed weights in Chromium: our kernels and those of onnxruntime-web on the same bytes. */
import {
  bytesOf,
  generator,
  medians,
  onComparePage,
  peer,
  randomFloats,
  TIME_HEADINGS,
  timeCells,
} from "./harness.mjs";
import { Graph } from "./onnx/graph.mjs";
import { BLOCK, floats } from "./onnx/weights.mjs";

/** Shapes of a 7B language model at one token, and of an encoder at many. */
const TASKS = [4, 8].flatMap((bits) =>
  [
    [1, 4096, 4096],
    [1, 4096, 11008],
    [256, 1024, 1024],
  ].map(([tokens, cols, rows]) => ({ bits, tokens, cols, rows })),
);

/** Median times of each side in ms, for every task. */
export async function timeProducts(program, runs, features) {
  const tasks = TASKS.map((task, id) => ({ ...task, id }));
  const cache = new Map();
  const serve = (id, part) => {
    // Only one case is cached: a matrix has up to 45 MB.
    if (!cache.has(id)) cache.clear();
    if (!cache.has(id)) cache.set(id, makeCase(tasks[Number(id)]));
    return cache.get(id)[part];
  };
  const rows = await onComparePage(program, serve, features, async (page) => {
    const results = [];
    for (const task of tasks) {
      const compare = ([one, n]) => globalThis.compareProduct(one, n);
      const measured = await page.evaluate(compare, [task, runs]);
      results.push({ ...task, ...medians(name(task), measured, features) });
    }
    return results;
  });
  return { peer: peer(), rows };
}

/** The table of {@link timeProducts}. */
export function productsTable({ peer: other, rows }) {
  const headings = ["Bits", "tokens × columns × rows", ...TIME_HEADINGS];
  const lines = rows.map((row) => {
    const { bits, tokens, cols, rows: n } = row;
    return [bits, `${tokens} × ${cols} × ${n}`, ...timeCells(row)];
  });
  return [
    `\nProducts of packed weights, ours beside ${other} (\`MatMulNBits\`, blocks of ${BLOCK}, the same bytes), uploaded, computed and read back:\n`,
    ...[headings, headings.map(() => "---:"), ...lines].map((cells) => `| ${cells.join(" | ")} |`),
  ].join("\n");
}

function name({ bits, tokens, cols, rows }) {
  return `int${bits}, ${tokens} × ${cols} × ${rows}`;
}

/** A random matrix and activations, for our kernels and as an ONNX model. */
function makeCase(task) {
  const { bits, tokens, cols, rows } = task;
  const random = generator(bits * rows + cols);
  const count = rows * cols;
  const values = new Uint8Array((count * bits) / 8);
  // Nibbles of 1 to 15, with an offset of 8; bytes of -127 to 127.
  const nibble = () => 1 + (random() % 15);
  for (let index = 0; index < values.length; index++) {
    values[index] = bits === 4 ? nibble() | (nibble() << 4) : (random() % 255) - 127;
  }
  const scales = Uint16Array.from({ length: count / BLOCK }, () => (8 << 10) | (random() & 1023));
  const graph = new Graph();
  const x = graph.input("x", [tokens, cols]);
  const weight = { name: "w", bits, rows, cols, values, scales: floats(scales) };
  graph.output("y", graph.packed(x, weight), [tokens, rows]);
  return {
    values: bytesOf(values),
    scales: bytesOf(scales),
    x: bytesOf(randomFloats(random, tokens * cols)),
    "model.onnx": graph.encode(),
  };
}
