/** Parts of a model in Chromium, ours beside onnxruntime-web's with the same weights. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { median, Problem, root } from "./lib.mjs";
import {
  bytesOf,
  generator,
  medians,
  onRacePage,
  peer,
  randomFloats,
  TIME_HEADINGS,
  timeCells,
} from "./race.mjs";
import { clipGraph, PRIOR, samGraph } from "./race/encoders.mjs";
import { llamaGraph } from "./race/llama.mjs";
import { openPackage } from "./race/weights.mjs";

/** Tokens at once, and one by one behind them. */
const TOKENS = { prompt: 256, answer: 32 };
/** A model as deep as the 7B one, and tokens that are launched with it. */
const DEEP = { layers: 32, tokens: 64 };

/** Medians of each side in ms and launches of each, for every part of `models/NAME`. */
export async function timeModels(program, model, runs, features) {
  const folder = join(root, "models", model);
  const weights = openPackage(folder);
  const tasks = makeTasks(weights);
  const cases = Object.fromEntries(tasks.map((task) => [task.part, makeCase(task, weights)]));
  const serve = (id, part) =>
    id === "package" ? readFileSync(join(folder, part)) : cases[id][part]();
  const found = await onRacePage(program, serve, features, async (page) => {
    const rows = [];
    for (const task of tasks) {
      const told = await page.evaluate(([one, n]) => globalThis.racePart(one, n), [task, runs]);
      const { title, part, each = 1 } = task;
      const { gpu, webgpu } = told.asked;
      const launches = { ours: gpu / each, peer: webgpu / each };
      const times = Object.entries(medians(title, told, features));
      const perUnit = Object.fromEntries(times.map(([side, ms]) => [side, ms / each]));
      rows.push({ part, title, ...perUnit, launches });
    }
    const { layers, tokens } = DEEP;
    const launching = ([deep, n]) => globalThis.launchTokens(deep, n);
    const { times, launches } = await page.evaluate(launching, [layers, tokens]);
    return { rows, decoder: { layers, launchMs: median(times), launches } };
  });
  return { peer: peer(), model, ...found };
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

/** What the page is told of each part. */
export function makeTasks({ config: { clip, sam, llm }, files }) {
  const image = (side) => ({ pixels: [1, 3, side, side] });
  const prior = (clip.image_size / clip.patch_size) * PRIOR.cells;
  const clipShapes = image(clip.image_size);
  if (clip.similarity_prompt) clipShapes.prior = [1, PRIOR.channels, prior, prior];
  const random = generator(llm.vocab_size);
  const language = {
    given: [],
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
  ].map((task) => ({ given: Object.keys(task.shapes ?? {}), files, ...task }));
}

/** Inputs of a part and the peer's graphs of it, each made when it is asked for. */
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
