/** Parts of a model in Chromium: our implementation and onnxruntime-web with the same weights. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { median, Problem, root } from "../../scripts/lib.mjs";
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
import { clipGraph, PRIOR, samGraph } from "./onnx/encoders.mjs";
import { llamaGraph } from "./onnx/llama.mjs";
import { openPackage } from "./onnx/weights.mjs";

/** Numbers of prompt tokens and of generated tokens. */
const TOKENS = { prompt: 256, answer: 32 };
/** A decoder with the depth of the 7B model, and the number of its decoding steps. */
const DEEP = { layers: 32, tokens: 64 };

/** Median times of each side in ms and dispatches of the GPU sides, for every part of `models/NAME`. */
export async function timeModels(program, model, runs, features) {
  const folder = join(root, "models", model);
  const weights = openPackage(folder);
  const tasks = makeTasks(weights);
  const cases = Object.fromEntries(tasks.map((task) => [task.part, makeCase(task, weights)]));
  const serve = (id, part) =>
    id === "package" ? readFileSync(join(folder, part)) : cases[id][part]();
  const measured = await onComparePage(program, serve, features, async (page) => {
    const rows = [];
    for (const task of tasks) {
      const compare = ([one, n]) => globalThis.comparePart(one, n);
      const sides = await page.evaluate(compare, [task, runs]);
      const { title, part, each = 1 } = task;
      const { gpu, webgpu } = sides.dispatchCounts;
      const launches = { ours: gpu / each, peer: webgpu / each };
      const times = Object.entries(medians(title, sides, features));
      const perUnit = Object.fromEntries(times.map(([side, ms]) => [side, ms / each]));
      rows.push({ part, title, ...perUnit, launches });
    }
    const { layers, tokens } = DEEP;
    const launching = ([deep, n]) => globalThis.launchTokens(deep, n);
    const { times, launches } = await page.evaluate(launching, [layers, tokens]);
    return { rows, decoder: { layers, launchMs: median(times), launches } };
  });
  return { peer: peer(), model, ...measured };
}

/** The table of {@link timeModels}. */
export function modelsTable({ peer: other, model, rows, decoder }) {
  const headings = ["Part", ...TIME_HEADINGS, "launches, ours", "launches, peer"];
  const lines = rows.map((row) => {
    const { ours, peer: theirs } = row.launches;
    return [row.title, ...timeCells(row), Math.round(ours), Math.round(theirs)];
  });
  const rule = headings.map((_, index) => (index === 0 ? "---" : "---:"));
  return [
    `\nParts of models/${model}, ours beside ${other} with the same weights, packed as they are, uploaded, computed and read back:\n`,
    ...[headings, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`),
    `\nLaunching a token of ${decoder.layers} blocks takes ${decoder.launchMs.toFixed(1)} ms of the page's processor, ${Math.round(decoder.launches)} launches.`,
  ].join("\n");
}

/** The task that the page gets for each part. */
export function makeTasks({ config: { clip, sam, llm }, files }) {
  const image = (side) => ({ pixels: [1, 3, side, side] });
  const prior = (clip.image_size / clip.patch_size) * PRIOR.cells;
  const clipShapes = image(clip.image_size);
  if (clip.similarity_prompt) clipShapes.prior = [1, PRIOR.channels, prior, prior];
  const random = generator(llm.vocab_size);
  const language = {
    inputs: [],
    ids: Array.from({ length: TOKENS.prompt }, () => random() % llm.vocab_size),
    nLayers: llm.n_layers,
    kvShape: [1, llm.n_kv_heads, llm.max_positions, llm.d_model / llm.n_heads],
  };
  const { prompt, answer } = TOKENS;
  if (prompt + answer > llm.max_positions) {
    throw new Problem(`the model has no room for ${prompt + answer} tokens`);
  }
  return [
    { part: "clip", title: "CLIP's encoder", shapes: clipShapes },
    { part: "sam", title: "SAM's encoder", shapes: image(sam.image_size) },
    { part: "prefill", title: `LLaMA, ${prompt} tokens at once`, ...language },
    {
      part: "steps",
      title: `LLaMA, a token behind ${prompt}`,
      count: answer,
      each: answer,
      ...language,
    },
  ].map((task) => ({ inputs: Object.keys(task.shapes ?? {}), files, ...task }));
}

/** The inputs of a part and its graphs for the peer; each is made when it is requested. */
function makeCase({ part, shapes = {} }, weights) {
  const random = generator(part.length);
  const inputs = Object.entries(shapes).map(([name, shape]) => {
    const values = randomFloats(
      random,
      shape.reduce((product, size) => product * size, 1),
    );
    return [name, () => bytesOf(values)];
  });
  const graph = { clip: clipGraph, sam: samGraph, prefill: llamaGraph, steps: llamaGraph }[part];
  const graphs = ["webgpu", "wasm"].map((provider) => [
    `${provider}.onnx`,
    () => graph(weights, provider),
  ]);
  return Object.fromEntries([...inputs, ...graphs]);
}
