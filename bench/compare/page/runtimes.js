/** Our runtime and the peer, onnxruntime-web, in one page, and the comparison of their times and results. */
import * as ortGpu from "/ort/ort.webgpu.min.mjs";
import * as ortWasm from "/ort/ort.wasm.min.mjs";
import init, { use_features } from "/vmad/vmad_bench.js";

/** The build of the peer for each of its execution providers. */
const RUNTIMES = { webgpu: ortGpu, wasm: ortWasm };
for (const { env } of Object.values(RUNTIMES)) {
  env.wasm.wasmPaths = "/ort/";
  env.wasm.numThreads = 1;
}
await init();

/** The optional GPU features for our shaders; undefined if the URL does not set them. */
const requestedFeatures = new globalThis.URLSearchParams(globalThis.location.search)
  .get("features")
  ?.split(" ");

/** Restricts our shaders to the requested features; called after our first allocation on the GPU. */
export async function applyFeatures() {
  if (requestedFeatures === undefined) return;
  const has = (name) => requestedFeatures.includes(name);
  const used = await use_features(has("subgroups"), has("packed"), has("f16"));
  console.info(`our shaders use: ${used}`);
}

/** Minimum subgroup size of the peer's attention kernel: with smaller subgroups its results are wrong. */
const PEER_LANES = 8;

/** A device with the features that the peer requests, without subgroups where they are too small for it. */
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
 * Opens a model of the peer on `provider`. Returns the session, `tensor`, which makes a tensor from
 * values, and on the GPU `zeroTensor`, which makes one in a GPU buffer of zeros.
 */
export async function openSession(provider, model) {
  const { InferenceSession, Tensor } = RUNTIMES[provider];
  const options = { executionProviders: [PROVIDERS[provider]] };
  const session = await InferenceSession.create(new Uint8Array(model), options);
  const tensor = (...args) => new Tensor(...args);
  return { session, tensor, zeroTensor: provider === "webgpu" ? zeroTensor : undefined };
}

function zeroTensor(dims) {
  const size = dims.reduce((product, length) => product * length, Float32Array.BYTES_PER_ELEMENT);
  const { STORAGE, COPY_SRC, COPY_DST } = globalThis.GPUBufferUsage;
  const buffer = device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
  const dispose = () => buffer.destroy();
  return ortGpu.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims, dispose });
}

/** Reads the values of a tensor into the page's memory and disposes of the tensor. */
export async function readAndDispose(tensor) {
  const values = Float32Array.from(await tensor.getData());
  tensor.dispose();
  return values;
}

/** Largest absolute difference divided by the largest absolute value of `expected`. */
function maxRelativeError(expected, actual) {
  if (expected.length !== actual.length) return Infinity;
  let [maxDifference, maxValue] = [0, 0];
  for (const [index, value] of expected.entries()) {
    maxDifference = Math.max(maxDifference, Math.abs(value - actual[index]));
    maxValue = Math.max(maxValue, Math.abs(value));
  }
  return maxDifference / maxValue;
}

/** Runs that alternate: ours and the peer's on the same device. */
const PAIRS = [
  ["gpu", "webgpu"],
  ["cpu", "wasm"],
];

/**
 * Runs all sides over `runs` rounds after a warm-up round. Returns for each side the times in ms, the
 * dispatches of the last round, and the maximum relative error against the peer's wasm.
 * `makers[side]` makes a side `{ run, before, free }`: `run` returns the computed values, `before`
 * is called before each round and not timed.
 */
export async function compare(makers, runs) {
  const runners = {};
  const [times, results, dispatchCounts] = [{}, {}, {}];
  for (const side of PAIRS.flat()) {
    runners[side] = await makers[side]();
    times[side] = [];
  }
  for (const pair of PAIRS) {
    for (let round = 0; round <= runs; round++) {
      for (const side of pair) {
        const { run, before } = runners[side];
        before?.();
        const dispatchesBefore = dispatches();
        const start = performance.now();
        results[side] = await run();
        const elapsedMs = performance.now() - start;
        dispatchCounts[side] = dispatches() - dispatchesBefore;
        if (round > 0) times[side].push(elapsedMs);
      }
    }
  }
  const errors = {};
  for (const [side, { free }] of Object.entries(runners)) {
    errors[side] = maxRelativeError(results.wasm, results[side]);
    await free();
  }
  return { times, dispatchCounts, errors };
}
