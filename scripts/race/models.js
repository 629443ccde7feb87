/** Parts of a model: ours and the peer's. */
import { Decoder, Model, Package } from "/vmad/vmad_bench.js";
import { fetchBytes, openSession, race, take, useWanted } from "./sides.js";

const models = new Map();

/** Our model, opened once on each device. */
async function open(gpu, files) {
  if (!models.has(gpu)) {
    const source = new Package();
    for (const file of files) {
      source.add(file, new Uint8Array(await fetchBytes(`/case/package/${file}`)));
    }
    models.set(gpu, await Model.load(gpu, source));
    if (gpu) await useWanted();
  }
  return models.get(gpu);
}

/** The inputs of a task: what it names, as it lies in the page's memory. */
async function inputs({ part, given }) {
  const read = async (name) => new Float32Array(await fetchBytes(`/case/${part}/${name}`));
  const entries = given.map(async (name) => [name, await read(name)]);
  return Object.fromEntries(await Promise.all(entries));
}

/** Index of the largest score: the token that follows. */
function largest(scores) {
  let best = 0;
  for (let id = 1; id < scores.length; id++) if (scores[id] > scores[best]) best = id;
  return best;
}

/** Scores after each of `count` tokens, the first given and each next the one that scored best. */
async function speak(first, count, step) {
  let id = first;
  const all = [];
  for (let index = 0; index < count; index++) {
    const scores = await step(id);
    all.push(...scores);
    id = largest(scores);
  }
  return Float32Array.from(all);
}

/** Our side: a call for each part. */
const OURS = {
  clip: (model, { pixels, prior }) => ({ run: () => model.clip(pixels, prior) }),
  sam: (model, { pixels }) => ({ run: () => model.sam(pixels) }),
  prefill: (model, _, { ids }) => ({ run: () => model.prefill(Int32Array.from(ids)) }),
  steps: async (model, _, { ids, count }) => {
    const first = largest(await model.prefill(Int32Array.from(ids)));
    return {
      before: () => model.rewind(ids.length),
      run: () => speak(first, count, (id) => model.step(id)),
    };
  },
};

async function ours(gpu, task, given) {
  const model = await open(gpu, task.files);
  return { ...(await OURS[task.part](model, given, task)), free: () => undefined };
}

/** An encoder of the peer's: tensors in, the values of its one output out. */
async function theirEncoder(provider, { part, shapes }, given) {
  const { session, tensor } = await openSession(provider, await graph(part, provider));
  const [output] = session.outputNames;
  const feeds = () =>
    Object.entries(given).map(([name, x]) => [name, tensor("float32", x, shapes[name])]);
  return {
    run: async () => take((await session.run(Object.fromEntries(feeds())))[output]),
    free: () => session.release(),
  };
}

const graph = (part, provider) => fetchBytes(`/case/${part}/${provider}.onnx`);

/**
 * The peer's language model. `hear` shows it tokens behind `past` and gives the scores of the next, and
 * what it has seen then.
 *
 * On WebGPU keys and values lie in buffers that have room for all positions, and new ones are written
 * behind those that are there. In wasm they go in and come out at every call.
 */
async function theirSpeaker(provider, part, { nLayers, kvShape }) {
  const names = Array.from({ length: nLayers }, (_, i) => [`${i}.key`, `${i}.value`]).flat();
  const { session, tensor, room } = await openSession(provider, await graph(part, provider));
  const [batch, heads, , width] = kvShape;
  const none = () => tensor("float32", new Float32Array(0), [batch, heads, 0, width]);
  const start = names.map((name) => [name, room?.(kvShape) ?? none()]);
  const empty = { length: 0, tensors: Object.fromEntries(start) };
  const hear = async (ids, past) => {
    const length = past.length + ids.length;
    const feeds = {
      ids: tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]),
      last: tensor("int32", Int32Array.of(length - 1), [1]),
      length: tensor("int32", Int32Array.of(length), []),
    };
    const fetches = { scores: null };
    for (const name of names) {
      feeds[`past.${name}`] = past.tensors[name];
      fetches[`present.${name}`] = room === undefined ? null : past.tensors[name];
    }
    const found = await session.run(feeds, fetches);
    const tensors = Object.fromEntries(names.map((name) => [name, found[`present.${name}`]]));
    return { scores: await take(found.scores), seen: { length, tensors } };
  };
  const free = () => {
    for (const [, held] of start) held.dispose();
    return session.release();
  };
  return { hear, empty, free };
}

const THEIRS = {
  clip: theirEncoder,
  sam: theirEncoder,
  prefill: async (provider, task) => {
    const { hear, empty, free } = await theirSpeaker(provider, "prefill", task);
    return { run: async () => (await hear(task.ids, empty)).scores, free };
  },
  steps: async (provider, task) => {
    const { hear, empty, free } = await theirSpeaker(provider, "steps", task);
    const start = await hear(task.ids, empty);
    const run = () => {
      let { seen } = start;
      return speak(largest(start.scores), task.count, async (id) => {
        const next = await hear([id], seen);
        seen = next.seen;
        return next.scores;
      });
    };
    return { run, free };
  },
};

/** {@link race} over a part of a model. */
export async function racePart(task, runs) {
  const given = await inputs(task);
  const makers = {
    gpu: () => ours(true, task, given),
    webgpu: () => THEIRS[task.part]("webgpu", task, given),
    cpu: () => ours(false, task, given),
    wasm: () => THEIRS[task.part]("wasm", task, given),
  };
  return race(makers, runs);
}

/**
 * Milliseconds that launching each of `count` tokens takes with `layers` blocks, after a few that are not
 * counted, and launches of a token.
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
