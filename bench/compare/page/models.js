/** Parts of a model: our implementation and graphs of the same parts for onnxruntime-web (the peer). */
import { Decoder, Model, Package } from "/vmad/vmad_bench.js";
import { applyFeatures, compare, fetchBytes, openSession, readAndDispose } from "./runtimes.js";

const models = new Map();

/** Our model; loaded once per device. */
async function open(gpu, files) {
  if (!models.has(gpu)) {
    const source = new Package();
    for (const file of files) {
      source.add(file, new Uint8Array(await fetchBytes(`/case/package/${file}`)));
    }
    models.set(gpu, await Model.load(gpu, source));
    if (gpu) await applyFeatures();
  }
  return models.get(gpu);
}

/** The input values of a task, by name. */
async function fetchInputs({ part, inputs }) {
  const read = async (name) => new Float32Array(await fetchBytes(`/case/${part}/${name}`));
  const entries = inputs.map(async (name) => [name, await read(name)]);
  return Object.fromEntries(await Promise.all(entries));
}

/** Index of the largest logit: the next token of greedy decoding. */
function argmax(scores) {
  let best = 0;
  for (let id = 1; id < scores.length; id++) if (scores[id] > scores[best]) best = id;
  return best;
}

/** The logits after each of `count` tokens of greedy decoding that starts with the token `first`. */
async function generate(first, count, step) {
  let id = first;
  const all = [];
  for (let index = 0; index < count; index++) {
    const scores = await step(id);
    all.push(...scores);
    id = argmax(scores);
  }
  return Float32Array.from(all);
}

/** Our side: one call for each part. */
const OURS = {
  clip: (model, { pixels, prior }) => ({ run: () => model.clip(pixels, prior) }),
  sam: (model, { pixels }) => ({ run: () => model.sam(pixels) }),
  prefill: (model, _, { ids }) => ({ run: () => model.prefill(Int32Array.from(ids)) }),
  steps: async (model, _, { ids, count }) => {
    const first = argmax(await model.prefill(Int32Array.from(ids)));
    return {
      before: () => model.rewind(ids.length),
      run: () => generate(first, count, (id) => model.step(id)),
    };
  },
};

async function ours(gpu, task, inputs) {
  const model = await open(gpu, task.files);
  return { ...(await OURS[task.part](model, inputs, task)), free: () => undefined };
}

/** An encoder of the peer: tensors in, the values of its only output out. */
async function peerEncoder(provider, { part, shapes }, inputs) {
  const { session, tensor } = await openSession(provider, await graph(part, provider));
  const [output] = session.outputNames;
  const feeds = () =>
    Object.entries(inputs).map(([name, x]) => [name, tensor("float32", x, shapes[name])]);
  return {
    run: async () => readAndDispose((await session.run(Object.fromEntries(feeds())))[output]),
    free: () => session.release(),
  };
}

const graph = (part, provider) => fetchBytes(`/case/${part}/${provider}.onnx`);

/**
 * The language model of the peer. `forward` runs it over tokens behind the KV cache `past` and
 * returns the logits of the next token and the new cache.
 *
 * On WebGPU the cache consists of buffers for all positions, to which new keys and values are
 * appended. In wasm it is an input and an output of every call.
 */
async function peerLanguageModel(provider, part, { nLayers, kvShape }) {
  const names = Array.from({ length: nLayers }, (_, i) => [`${i}.key`, `${i}.value`]).flat();
  const { session, tensor, zeroTensor } = await openSession(provider, await graph(part, provider));
  const [batch, heads, , width] = kvShape;
  const emptyTensor = () => tensor("float32", new Float32Array(0), [batch, heads, 0, width]);
  const start = names.map((name) => [name, zeroTensor?.(kvShape) ?? emptyTensor()]);
  const empty = { length: 0, tensors: Object.fromEntries(start) };
  const forward = async (ids, past) => {
    const length = past.length + ids.length;
    const feeds = {
      ids: tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]),
      last: tensor("int32", Int32Array.of(length - 1), [1]),
      length: tensor("int32", Int32Array.of(length), []),
    };
    const fetches = { scores: null };
    for (const name of names) {
      feeds[`past.${name}`] = past.tensors[name];
      fetches[`present.${name}`] = zeroTensor === undefined ? null : past.tensors[name];
    }
    const outputs = await session.run(feeds, fetches);
    const tensors = Object.fromEntries(names.map((name) => [name, outputs[`present.${name}`]]));
    return { scores: await readAndDispose(outputs.scores), cache: { length, tensors } };
  };
  const free = () => {
    for (const [, cached] of start) cached.dispose();
    return session.release();
  };
  return { forward, empty, free };
}

/** The peer: one call for each part. */
const PEER = {
  clip: peerEncoder,
  sam: peerEncoder,
  prefill: async (provider, task) => {
    const { forward, empty, free } = await peerLanguageModel(provider, "prefill", task);
    return { run: async () => (await forward(task.ids, empty)).scores, free };
  },
  steps: async (provider, task) => {
    const { forward, empty, free } = await peerLanguageModel(provider, "steps", task);
    const start = await forward(task.ids, empty);
    const run = () => {
      let { cache } = start;
      return generate(argmax(start.scores), task.count, async (id) => {
        const next = await forward([id], cache);
        cache = next.cache;
        return next.scores;
      });
    };
    return { run, free };
  },
};

/** {@link compare} for one part of a model. */
export async function comparePart(task, runs) {
  const inputs = await fetchInputs(task);
  const makers = {
    gpu: () => ours(true, task, inputs),
    webgpu: () => PEER[task.part]("webgpu", task, inputs),
    cpu: () => ours(false, task, inputs),
    wasm: () => PEER[task.part]("wasm", task, inputs),
  };
  return compare(makers, runs);
}

/**
 * Times of launching each of `count` decoding steps of `layers` blocks, in ms, after a warm-up, and the
 * dispatches per step.
 */
export async function launchTokens(layers, count) {
  const decoder = await Decoder.load(layers);
  for (let index = 0; index < 8; index++) await decoder.step();
  const { counts } = globalThis.gpuCounts;
  const before = counts.dispatches;
  const times = [];
  for (let index = 0; index < count; index++) times.push(await decoder.step());
  const launches = (counts.dispatches - before) / count;
  decoder.free();
  return { times, launches };
}
