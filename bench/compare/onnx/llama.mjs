/** The language model of a package as an ONNX graph, with the operators that onnxruntime fuses best. */
import { Graph, real, TYPES } from "./graph.mjs";
import { unpacked } from "./weights.mjs";

/**
 * From `ids` `[1, tokens]` behind a KV cache of `past` positions to `scores`, the logits of the next
 * token.
 *
 * Inputs `past.N.key` and `past.N.value` and outputs `present.N.…` are the cache of block N, each
 * `[1, n_kv_heads, positions, d_head]`. `last` is the index of the last position, `length` the
 * number of positions including the new ones. `provider` selects the attention operators.
 */
export function llamaGraph({ config, dense, packed }, provider) {
  const { n_layers: nLayers, n_heads: heads, n_kv_heads: kvHeads, ...sizes } = config.llm;
  if (!sizes.tie_embeddings) throw new Error("untied embeddings are not supported");
  const graph = new Graph();
  const constant = (name) => graph.constant(name, dense(name).shape, dense(name).data);
  const epsilon = { epsilon: real(sizes.rms_norm_eps) };
  const width = sizes.d_model / heads;
  const ids = graph.input("ids", [1, "tokens"], "int64");
  const last = graph.input("last", [1], "int32");
  const length = graph.input("length", [], "int32");
  const angles = Object.entries(rotary(sizes, width)).map(([name, data]) =>
    graph.constant(name, [sizes.max_positions, width / 2], data),
  );
  const attention = { webgpu: grouped, wasm: multiple }[provider];
  const attend = attention(graph, { heads, kvHeads, width, ids, last, length, angles });
  // The embedding table is unpacked to f32: gathering rows of a packed one is slower.
  const embedding = packed("llm.embed_tokens.weight");
  const table = graph.constant("table", [embedding.rows, embedding.cols], unpacked(embedding));
  let x = graph.node("Gather", [table, ids]);
  let added = "";
  /** The norm of the residual sum, and the sum. */
  const normed = (name) => {
    const scale = constant(`${name}.weight`);
    if (added === "") {
      const attributes = { axis: -1, stash_type: 1, ...epsilon };
      return [graph.node("SimplifiedLayerNormalization", [x, scale], attributes), x];
    }
    const inputs = [added, x, scale];
    const [h, , , sum] = graph.contribs("SkipSimplifiedLayerNormalization", inputs, epsilon, 4);
    return [h, sum];
  };
  const presents = [];
  for (let i = 0; i < nLayers; i++) {
    const block = `llm.layers.${i}`;
    let h;
    [h, x] = normed(`${block}.input_layernorm`);
    const parts = ["q", "k", "v"].map((part) => packed(`${block}.self_attn.${part}_proj.weight`));
    const past = ["key", "value"].map((part) =>
      graph.input(`past.${i}.${part}`, [1, kvHeads, "past", width]),
    );
    const qkv = graph.packed(h, stacked(`${block} qkv`, parts));
    const [attended, ...present] = attend(qkv, past);
    presents.push(present);
    added = graph.packed(attended, packed(`${block}.self_attn.o_proj.weight`));
    [h, x] = normed(`${block}.post_attention_layernorm`);
    const [gate, up, down] = ["gate", "up", "down"].map((part) =>
      packed(`${block}.mlp.${part}_proj.weight`),
    );
    // On WebGPU the peer fuses this with the norm.
    const g = graph.packed(h, gate);
    const silu = graph.node("Mul", [g, graph.node("Sigmoid", [g])]);
    added = graph.packed(graph.node("Mul", [silu, graph.packed(h, up)]), down);
  }
  const [h] = normed("llm.norm");
  const end = graph.node("Slice", [h, graph.ints([-1]), graph.ints([2 ** 31]), graph.ints([1])]);
  graph.output("scores", graph.packed(end, embedding), [1, 1, embedding.rows]);
  for (const [i, [key, value]] of presents.entries()) {
    const shape = [1, kvHeads, "present", width];
    graph.output(`present.${i}.key`, key, shape);
    graph.output(`present.${i}.value`, value, shape);
  }
  return graph.encode();
}

/** Attention with the KV cache as one operator. */
function grouped(graph, { heads, kvHeads, last, length, angles }) {
  const attributes = {
    num_heads: heads,
    kv_num_heads: kvHeads,
    do_rotary: 1,
    rotary_interleaved: 0,
  };
  return (qkv, past) => {
    const inputs = [qkv, "", "", ...past, last, length, ...angles];
    return graph.contribs("GroupQueryAttention", inputs, attributes, 3);
  };
}

/** The same as several operators: half the time in wasm at many tokens; not available on WebGPU. */
function multiple(graph, { heads, kvHeads, width, ids, length, angles }) {
  const positions = graph.node("Cast", [length], { to: TYPES.int64 });
  const start = graph.node("Sub", [positions, graph.node("Size", [ids])]);
  const first = graph.reshape(start, [1]);
  const parts = graph.ints([heads * width, kvHeads * width, kvHeads * width]);
  const splitHeads = (x, n) => graph.transpose(graph.reshape(x, [1, -1, n, width]), [0, 2, 1, 3]);
  const rotated = (x) =>
    graph.contrib("RotaryEmbedding", [x, first, ...angles], { interleaved: 0 });
  const appended = (past, x) => graph.node("Concat", [past, x], { axis: 2 });
  /** Repeats each key or value head for the query heads that share it. */
  const repeated = (x) => {
    if (heads === kvHeads) return x;
    const one = graph.node("Unsqueeze", [x, graph.ints([2])]);
    const all = graph.node("Concat", Array(heads / kvHeads).fill(one), { axis: 2 });
    return graph.reshape(all, [1, heads, -1, width]);
  };
  return (qkv, [pastKey, pastValue]) => {
    const [q, k, v] = graph.nodes("Split", [qkv, parts], { axis: 2 }, 3);
    const queries = graph.transpose(rotated(splitHeads(q, heads)), [0, 2, 1, 3]);
    const key = appended(pastKey, rotated(splitHeads(k, kvHeads)));
    const value = appended(pastValue, splitHeads(v, kvHeads));
    const inputs = [graph.reshape(queries, [1, -1, heads * width]), repeated(key), repeated(value)];
    const attributes = { num_heads: heads, unidirectional: 1 };
    return [graph.contrib("MultiHeadAttention", inputs, attributes), key, value];
  };
}

/** Packed matrices with the same columns, stacked along the rows. */
export function stacked(name, parts) {
  const [{ bits, cols }] = parts;
  if (parts.some((part) => part.bits !== bits || part.cols !== cols)) {
    throw new Error(`${name}: the matrices are packed differently`);
  }
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const values = Uint8Array.from(parts.flatMap((part) => [...part.values]));
  const scales = Float32Array.from(parts.flatMap((part) => [...part.scales]));
  return { name, bits, rows, cols, values, scales };
}

/** Cosines and sines of the rotary embedding, for all positions and half the columns of a head. */
export function rotary({ rope_theta: theta, max_positions: positions }, width) {
  const half = width / 2;
  const angle = (index) => Math.floor(index / half) * theta ** ((-2 * (index % half)) / width);
  const table = (of) =>
    Float32Array.from({ length: positions * half }, (_, index) => of(angle(index)));
  return { cos: table(Math.cos), sin: table(Math.sin) };
}
