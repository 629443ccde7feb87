/** The image encoders of a package as ONNX graphs, with the operators that onnxruntime fuses best. */
import { Graph, real } from "./graph.mjs";

/** Cells of the prior per side of a patch, and number of channels. */
export const PRIOR = { cells: 4, channels: 4 };
/** Epsilon of the norms of SAM's neck. */
const NECK_EPS = 1e-6;

/** CLIP's encoder: `pixels`, and `prior` if the model has one, to the concatenated taps. */
export function clipGraph(weights) {
  const { image_size: side, patch_size: patch, d_model: d, taps, ...sizes } = weights.config.clip;
  const graph = new Graph();
  const layers = new Layers(graph, weights);
  const grid = side / patch;
  const n = grid * grid;
  const at = "clip.embeddings";
  let cells = layers.stem(graph.input("pixels", [1, 3, side, side]), at, sizes);
  cells = layers.conv(cells, `${at}.patch_embedding`, { kernel: 1 });
  if (sizes.similarity_prompt) {
    const prior = graph.input("prior", [1, PRIOR.channels, grid * PRIOR.cells, grid * PRIOR.cells]);
    const attributes = { kernel: PRIOR.cells, stride: PRIOR.cells };
    cells = graph.node("Add", [
      cells,
      layers.conv(prior, `${at}.similarity_embedding`, attributes),
    ]);
  }
  const patches = graph.transpose(graph.reshape(cells, [1, d, n]), [0, 2, 1]);
  const one = weights.dense(`${at}.class_embedding`);
  const first = graph.constant(`${at}.class_embedding`, [1, 1, d], one.data);
  const places = layers.constant(`${at}.position_embedding.weight`);
  const all = graph.node("Concat", [first, patches], { axis: 1 });
  const eps = sizes.layer_norm_eps;
  let x = layers.norm(graph.node("Add", [all, places]), "clip.pre_layrnorm", eps);
  const states = [x];
  let added = "";
  for (let i = 0; i < Math.max(...taps); i++) {
    const block = `clip.encoder.layers.${i}`;
    const own = `${block}.self_attn`;
    let h;
    [h, x] = layers.addedNorm(added, x, `${block}.layer_norm1`, eps);
    if (i > 0) states.push(x);
    const [q, k, v] = ["q", "k", "v"].map((part) => layers.linear(h, `${own}.${part}_proj`));
    h = graph.contrib("MultiHeadAttention", [q, k, v], { num_heads: sizes.n_heads });
    added = layers.linear(h, `${own}.out_proj`);
    [h, x] = layers.addedNorm(added, x, `${block}.layer_norm2`, eps);
    h = graph.contrib("QuickGelu", [layers.linear(h, `${block}.mlp.fc1`)], { alpha: real(1.702) });
    added = layers.linear(h, `${block}.mlp.fc2`);
  }
  states.push(graph.node("Add", [x, added]));
  const tapped = taps.map((tap) => states[tap]);
  const together = tapped.length > 1 ? graph.node("Concat", tapped, { axis: 2 }) : tapped[0];
  const [from, to, axis] = [[1], [n + 1], [1]].map((value) => graph.ints(value));
  const result = graph.node("Slice", [together, from, to, axis]);
  graph.output("states", result, [1, n, taps.length * d]);
  return graph.encode();
}

/** SAM's ViT: `pixels` to the image embedding. */
export function samGraph(weights) {
  const {
    image_size: side,
    patch_size: patch,
    d_out: dOut,
    d_model: d,
    ...sizes
  } = weights.config.sam;
  const graph = new Graph();
  const layers = new Layers(graph, weights);
  const grid = side / patch;
  const n = grid * grid;
  const at = "sam.image_encoder";
  let x = layers.stem(graph.input("pixels", [1, 3, side, side]), `${at}.patch_embed`, sizes);
  x = layers.conv(x, `${at}.patch_embed.proj`, { kernel: 1 });
  x = graph.transpose(graph.reshape(x, [1, d, n]), [0, 2, 1]);
  const places = graph.constant("places", [1, n, d], weights.dense(`${at}.pos_embed`).data);
  x = graph.node("Add", [x, places]);
  const eps = sizes.layer_norm_eps;
  let added = "";
  for (let i = 0; i < sizes.n_layers; i++) {
    const block = `${at}.blocks.${i}`;
    const window = sizes.global_blocks.includes(i) ? grid : sizes.window;
    if (grid % window !== 0) throw new Error(`windows of ${window} on a side of ${grid}`);
    const heads = sizes.n_heads;
    let h;
    [h, x] = layers.addedNorm(added, x, `${block}.norm1`, eps);
    h = toWindows(graph, h, { grid, window, d });
    h = relativeAttention(layers, h, `${block}.attn`, { grid, window, d, heads });
    added = fromWindows(graph, h, { grid, window, d });
    [h, x] = layers.addedNorm(added, x, `${block}.norm2`, eps);
    h = graph.node("Gelu", [layers.linear(h, `${block}.mlp.lin1`)]);
    added = layers.linear(h, `${block}.mlp.lin2`);
  }
  x = graph.node("Add", [x, added]);
  x = graph.reshape(graph.transpose(x, [0, 2, 1]), [1, d, grid, grid]);
  x = layers.conv(x, `${at}.neck.0`, { kernel: 1 });
  x = layers.imageNorm(x, `${at}.neck.1`, NECK_EPS);
  x = layers.conv(x, `${at}.neck.2`, { kernel: 3, padding: 1 });
  graph.output("embedding", layers.imageNorm(x, `${at}.neck.3`, NECK_EPS), [1, dOut, grid, grid]);
  return graph.encode();
}

/** `[1, grid², d]` to `[windows², window², d]`. */
function toWindows(graph, x, { grid, window, d }) {
  const count = grid / window;
  if (count === 1) return x;
  const apart = graph.reshape(x, [count, window, count, window, d]);
  return graph.reshape(graph.transpose(apart, [0, 2, 1, 3, 4]), [count ** 2, window ** 2, d]);
}

/** The inverse of {@link toWindows}. */
function fromWindows(graph, x, { grid, window, d }) {
  const count = grid / window;
  if (count === 1) return x;
  const apart = graph.reshape(x, [count, count, window, window, d]);
  return graph.reshape(graph.transpose(apart, [0, 2, 1, 3, 4]), [1, grid ** 2, d]);
}

/** Window attention with SAM's decomposed relative positions, which are passed as an attention bias. */
function relativeAttention(layers, x, name, { grid, window: side, d, heads }) {
  const { graph } = layers;
  const [windows, n, width] = [(grid / side) ** 2, side * side, d / heads];
  const parts = [layers.linear(x, `${name}.qkv`), graph.ints([d, d, d])];
  const [q, k, v] = graph.nodes("Split", parts, { axis: 2 }, 3);
  const cells = graph.reshape(q, [windows, side, side, heads, width]);
  // Grouped by row, or by column, so that one product serves all queries of a row, or a column.
  const scores = (part, order, back, shape) => {
    const table = layers.relativeTable(`${name}.rel_pos_${part}`, side);
    const rows = graph.reshape(graph.transpose(cells, order), [
      side,
      windows * heads * side,
      width,
    ]);
    const product = graph.node("MatMul", [rows, table]);
    const apart = graph.reshape(product, [side, windows, heads, side, side]);
    return graph.reshape(graph.transpose(apart, back), shape);
  };
  const pair = [windows, heads, n];
  const byRow = scores("h", [1, 0, 3, 2, 4], [1, 2, 0, 3, 4], [...pair, side, 1]);
  const byColumn = scores("w", [2, 0, 3, 1, 4], [1, 2, 3, 0, 4], [...pair, 1, side]);
  const bias = graph.reshape(graph.node("Add", [byRow, byColumn]), [...pair, n]);
  const inputs = [q, k, v, "", "", bias];
  const attended = graph.contrib("MultiHeadAttention", inputs, { num_heads: heads });
  return layers.linear(attended, `${name}.proj`);
}

/** Layers by their tensor names in the package. */
class Layers {
  constructor(graph, { has, dense, packed }) {
    this.graph = graph;
    this.has = has;
    this.dense = dense;
    this.packed = packed;
  }

  constant(name) {
    const { shape, data } = this.dense(name);
    return this.graph.constant(name, shape, data);
  }

  linear(x, name) {
    return this.graph.packed(x, this.packed(`${name}.weight`), this.constant(`${name}.bias`));
  }

  norm(x, name, epsilon) {
    const [scale, shift] = ["weight", "bias"].map((leaf) => this.constant(`${name}.${leaf}`));
    return this.graph.node("LayerNormalization", [x, scale, shift], { epsilon: real(epsilon) });
  }

  /** The norm of the sum of two values, and the sum. `added` may be empty. */
  addedNorm(added, x, name, epsilon) {
    if (added === "") return [this.norm(x, name, epsilon), x];
    const [scale, shift] = ["weight", "bias"].map((leaf) => this.constant(`${name}.${leaf}`));
    const inputs = [added, x, scale, shift];
    const attributes = { epsilon: real(epsilon) };
    const [normed, , , sum] = this.graph.contribs("SkipLayerNormalization", inputs, attributes, 4);
    return [normed, sum];
  }

  /** The norm over the channels at each position of an image. */
  imageNorm(x, name, epsilon) {
    const last = this.graph.transpose(x, [0, 2, 3, 1]);
    return this.graph.transpose(this.norm(last, name, epsilon), [0, 3, 1, 2]);
  }

  /** A convolution, with a bias if the package has one. */
  conv(x, name, { kernel, stride = 1, padding = 0 }) {
    const weight = this.constant(`${name}.weight`);
    const bias = this.has(`${name}.bias`) ? [this.constant(`${name}.bias`)] : [];
    return this.graph.node("Conv", [x, weight, ...bias], window(kernel, stride, padding));
  }

  /** The overlapping stem: one convolution per step, with the batch norm folded into its weights. */
  stem(pixels, name, { stem, layer_norm_eps: epsilon }) {
    if (stem !== "overlap_batch") throw new Error(`a stem ${stem} has no graph here`);
    let [x, channels] = [pixels, 3];
    for (let i = 0; this.has(`${name}.stem.${i}.merge.weight`); i++) {
      const stage = `${name}.stem.${i}`;
      const stride = i === 0 ? 4 : 2;
      const leaf = (part) => this.dense(`${stage}.${part}`).data;
      const merge = { weight: leaf("merge.weight"), bias: leaf("merge.bias") };
      const norm = {
        weight: leaf("norm.weight"),
        bias: leaf("norm.bias"),
        mean: leaf("norm.running_mean"),
        variance: leaf("norm.running_var"),
        epsilon,
      };
      const { weight, bias } = folded(mergeAsConv(merge, stride, channels), norm);
      const kernel = 2 * stride;
      const w = this.graph.constant(`${stage} w`, [bias.length, channels, kernel, kernel], weight);
      const b = this.graph.constant(`${stage} b`, [bias.length], bias);
      const attributes = window(kernel, stride, stride / 2);
      x = this.graph.node("Gelu", [this.graph.node("Conv", [x, w, b], attributes)]);
      channels = bias.length;
    }
    return x;
  }

  /** `[side, width, side]`: for each query position the table rows of the key positions. */
  relativeTable(name, side) {
    const { shape, data } = this.dense(name);
    const width = shape[1];
    const table = relativeRows(data, side, width);
    return this.graph.constant(`${name} table`, [side, width, side], table);
  }
}

function window(kernel, stride, padding) {
  return {
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: [padding, padding, padding, padding],
  };
}

/** Entry (i, c, j) is column c of the table row for the offset i − j. */
export function relativeRows(data, side, width) {
  const rows = new Float32Array(side * width * side);
  for (let index = 0; index < rows.length; index++) {
    const i = Math.floor(index / (side * width));
    const [c, j] = [Math.floor(index / side) % width, index % side];
    rows[index] = data[(i - j + side - 1) * width + c];
  }
  return rows;
}

/**
 * The weight of a merge as a convolution weight. It permutes the columns from (block row, block
 * column, row, column, channel) of 2 × 2 blocks to (channel, row, column).
 */
export function mergeAsConv({ weight, bias }, stride, channels) {
  const kernel = 2 * stride;
  const size = channels * kernel * kernel;
  const moved = new Float32Array(weight.length);
  for (let index = 0; index < weight.length; index++) {
    const [out, at] = [Math.floor(index / size), index % size];
    const channel = at % channels;
    const place = Math.floor(at / channels);
    const [column, row] = [place % stride, Math.floor(place / stride) % stride];
    const block = Math.floor(place / stride ** 2);
    const [y, x] = [Math.floor(block / 2) * stride + row, (block % 2) * stride + column];
    moved[out * size + (channel * kernel + y) * kernel + x] = weight[index];
  }
  return { weight: moved, bias };
}

/** A layer with the following batch norm folded into its weight and bias. */
export function folded({ weight, bias }, norm) {
  const size = weight.length / bias.length;
  const scale = norm.weight.map((value, i) => value / Math.sqrt(norm.variance[i] + norm.epsilon));
  return {
    weight: weight.map((value, index) => value * scale[Math.floor(index / size)]),
    bias: bias.map((value, i) => (value - norm.mean[i]) * scale[i] + norm.bias[i]),
  };
}
