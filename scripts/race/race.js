/** Products of packed weights in one page: ours and onnxruntime-web's, one after the other. */
import * as ort from "/ort/ort.webgpu.min.mjs";
import init, { Product } from "/vmad/vmad_bench.js";

ort.env.wasm.wasmPaths = "/ort/";
ort.env.wasm.numThreads = 1;
await init();

const bytes = async (name) => (await fetch(name)).arrayBuffer();
const dispatches = () => globalThis.gpuCounts.counts.dispatches;

/** A runner of one side: takes activations, gives the result as it lies in the page's memory. */
async function ours(gpu, { bits, rows, cols, id }) {
  const values = new Uint8Array(await bytes(`/case/${id}/values`));
  const scales = new Uint16Array(await bytes(`/case/${id}/scales`));
  const product = await Product.load(gpu, bits, rows, cols, values, scales);
  return { run: (x) => product.run(x), free: () => product.free() };
}

async function theirs(provider, { tokens, cols, id }) {
  const model = new Uint8Array(await bytes(`/case/${id}/model.onnx`));
  const session = await ort.InferenceSession.create(model, { executionProviders: [provider] });
  return {
    run: async (x) => {
      const { y } = await session.run({ x: new ort.Tensor("float32", x, [tokens, cols]) });
      const result = Float32Array.from(await y.getData());
      y.dispose();
      return result;
    },
    free: () => session.release(),
  };
}

const SIDES = {
  gpu: (task) => ours(true, task),
  webgpu: (task) => theirs("webgpu", task),
  cpu: (task) => ours(false, task),
  wasm: (task) => theirs("wasm", task),
};

/** Largest difference over the largest value. */
function difference(one, other) {
  let [most, largest] = [0, 0];
  for (const [index, value] of one.entries()) {
    most = Math.max(most, Math.abs(value - other[index]));
    largest = Math.max(largest, Math.abs(value));
  }
  return most / largest;
}

/** Times of all sides over `runs` rounds after one that is not counted, in ms; what each asked of the GPU. */
globalThis.race = async (task, runs) => {
  const x = new Float32Array(await bytes(`/case/${task.id}/x`));
  const runners = {};
  const [times, results, asked] = [{}, {}, {}];
  for (const [side, make] of Object.entries(SIDES)) {
    runners[side] = await make(task);
    times[side] = [];
  }
  for (let round = 0; round <= runs; round++) {
    for (const [side, { run }] of Object.entries(runners)) {
      const before = dispatches();
      const start = performance.now();
      results[side] = await run(x);
      const spent = performance.now() - start;
      asked[side] = dispatches() - before;
      if (round > 0) times[side].push(spent);
    }
  }
  const differences = {};
  for (const side of Object.keys(SIDES)) {
    if (results[side].length !== task.tokens * task.rows)
      throw new Error(`${side} gave too little`);
    differences[side] = difference(results.wasm, results[side]);
    await runners[side].free();
  }
  return { times, asked, differences };
};
globalThis.isReady = true;
