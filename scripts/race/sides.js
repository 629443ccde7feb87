/** Both runtimes in one page, and one race between them. */
import * as ortGpu from "/ort/ort.webgpu.min.mjs";
import * as ortWasm from "/ort/ort.wasm.min.mjs";
import init, { use_features } from "/vmad/vmad_bench.js";

/** The peer's runtimes by provider, each of the build that it is made for. */
const RUNTIMES = { webgpu: ortGpu, wasm: ortWasm };
for (const { env } of Object.values(RUNTIMES)) {
  env.wasm.wasmPaths = "/ort/";
  env.wasm.numThreads = 1;
}
await init();

/** The optional features of the GPU for our shaders, where the address names some. */
const wanted = new globalThis.URLSearchParams(globalThis.location.search)
  .get("features")
  ?.split(" ");

/** Has our side use them from here on; to be called once it has something on the GPU. */
export async function useWanted() {
  if (wanted === undefined) return;
  const has = (name) => wanted.includes(name);
  const used = await use_features(has("subgroups"), has("packed"), has("f16"));
  console.info(`our shaders use: ${used}`);
}

/** Lanes that the peer's attention takes a subgroup to have: with fewer it computes something else. */
const PEER_LANES = 8;

/** The GPU as the peer would set it up, but without subgroups where they are too small for it. */
async function peerDevice() {
  const adapter = await globalThis.navigator.gpu.requestAdapter({
    powerPreference: "high-performance",
  });
  const hasLanes = adapter.info.subgroupMinSize >= PEER_LANES;
  const wanted = ["shader-f16", "subgroups", "subgroup-size-control"].filter(
    (feature) => adapter.features.has(feature) && (hasLanes || !feature.startsWith("subgroup")),
  );
  const requiredLimits = {};
  for (const limit in adapter.limits) requiredLimits[limit] = adapter.limits[limit];
  return adapter.requestDevice({ requiredFeatures: wanted, requiredLimits });
}
const device = await peerDevice();
const PROVIDERS = { webgpu: { name: "webgpu", device }, wasm: { name: "wasm" } };

export const fetchBytes = async (name) => (await fetch(name)).arrayBuffer();
const dispatches = () => globalThis.gpuCounts.counts.dispatches;

/**
 * A model of the peer's on `provider`, and what makes its tensors: of values, and on the GPU of a
 * buffer, `room`, that holds zeros.
 */
export async function openSession(provider, model) {
  const { InferenceSession, Tensor } = RUNTIMES[provider];
  const how = { executionProviders: [PROVIDERS[provider]] };
  const session = await InferenceSession.create(new Uint8Array(model), how);
  const tensor = (...given) => new Tensor(...given);
  return { session, tensor, room: provider === "webgpu" ? room : undefined };
}

function room(dims) {
  const size = dims.reduce((product, length) => product * length, Float32Array.BYTES_PER_ELEMENT);
  const { STORAGE, COPY_SRC, COPY_DST } = globalThis.GPUBufferUsage;
  const buffer = device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
  const dispose = () => buffer.destroy();
  return ortGpu.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims, dispose });
}

/** The values of a result as they lie in the page's memory; the result is given up. */
export async function take(tensor) {
  const values = Float32Array.from(await tensor.getData());
  tensor.dispose();
  return values;
}

/** Largest difference over the largest value. */
function difference(one, other) {
  if (one.length !== other.length) return Infinity;
  let [most, largest] = [0, 0];
  for (const [index, value] of one.entries()) {
    most = Math.max(most, Math.abs(value - other[index]));
    largest = Math.max(largest, Math.abs(value));
  }
  return most / largest;
}

/** Who takes turns: each beside the one that computes on the same device. */
const PAIRS = [
  ["gpu", "webgpu"],
  ["cpu", "wasm"],
];

/**
 * Times of all sides over `runs` rounds after one that is not counted, in ms; what each asked of the
 * GPU in its last; how far each is from the peer's wasm. A side `{ run, before, free }` is made by
 * `makers[side]`, and gives the values that it computed; `before` is not timed.
 */
export async function race(makers, runs) {
  const runners = {};
  const [times, results, asked] = [{}, {}, {}];
  for (const side of PAIRS.flat()) {
    runners[side] = await makers[side]();
    times[side] = [];
  }
  for (const pair of PAIRS) {
    for (let round = 0; round <= runs; round++) {
      for (const side of pair) {
        const { run, before } = runners[side];
        before?.();
        const counted = dispatches();
        const start = performance.now();
        results[side] = await run();
        const spent = performance.now() - start;
        asked[side] = dispatches() - counted;
        if (round > 0) times[side].push(spent);
      }
    }
  }
  const differences = {};
  for (const [side, { free }] of Object.entries(runners)) {
    differences[side] = difference(results.wasm, results[side]);
    await free();
  }
  return { times, asked, differences };
}
