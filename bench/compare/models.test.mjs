import assert from "node:assert/strict";
import { test } from "node:test";
import { makeTasks, modelsTable } from "./models.mjs";
import { medians, timeCells } from "./harness.mjs";
import { folded, mergeAsConv, relativeRows } from "./onnx/encoders.mjs";
import { rotary, stacked } from "./onnx/llama.mjs";
import { floats, unpacked, unsigned } from "./onnx/weights.mjs";

test("half precision", () => {
  const halves = [0x0000, 0x8000, 0x3c00, 0xc100, 0x0001, 0x7bff, 0x7c00];
  const expected = [0, -0, 1, -2.5, 2 ** -24, 65504, Infinity];
  assert.deepEqual([...floats(halves)], expected);
});

test("bytes lose their sign, nibbles have none", () => {
  const bytes = Uint8Array.of(0, 1, 127, 129, 255);
  assert.deepEqual([...unsigned(8, bytes)], [128, 129, 255, 1, 127]);
  assert.equal(unsigned(4, bytes), bytes);
});

test("a matrix of bytes has a scale for each block", () => {
  const values = new Uint8Array(64);
  values[31] = 255;
  values[32] = 3;
  const floats = unpacked({ bits: 8, rows: 1, cols: 64, values, scales: [2, 0.5] });
  assert.deepEqual([floats[31], floats[32]], [-2, 1.5]);
  assert.throws(() => unpacked({ bits: 4, rows: 1, cols: 64, values, scales: [1, 1] }), /4 bits/);
});

/** By the definition of a merge: each column of its weight is the pixel under the kernel. */
test("a merge is a convolution", () => {
  const [stride, channels, out] = [2, 3, 2];
  const kernel = 2 * stride;
  const size = 4 * stride * stride * channels;
  const weight = Float32Array.from({ length: out * size }, (_, index) => index);
  const moved = mergeAsConv({ weight, bias: new Float32Array(out) }, stride, channels).weight;
  for (let index = 0; index < out * size; index++) {
    const at = index % size;
    const [block, inner] = [Math.floor(at / (size / 4)), at % (size / 4)];
    const [place, channel] = [Math.floor(inner / channels), inner % channels];
    const y = Math.floor(block / 2) * stride + Math.floor(place / stride);
    const x = (block % 2) * stride + (place % stride);
    const conv = (channel * kernel + y) * kernel + x;
    assert.equal(moved[index - at + conv], index);
  }
});

test("a batch norm joins the layer before it", () => {
  const layer = { weight: Float32Array.of(1, 2, 3, 4), bias: Float32Array.of(5, 6) };
  const norm = { bias: [10, 20], mean: [1, 2], variance: [3.75, 0.75], epsilon: 0.25 };
  const { weight, bias } = folded(layer, { ...norm, weight: Float32Array.of(2, 1) });
  assert.deepEqual([...weight], [1, 2, 3, 4]);
  assert.deepEqual([...bias], [14, 24]);
});

test("relative positions", () => {
  const [side, width] = [3, 2];
  const data = Float32Array.from({ length: (2 * side - 1) * width }, (_, index) => index);
  const rows = relativeRows(data, side, width);
  for (let i = 0; i < side; i++) {
    for (let c = 0; c < width; c++) {
      for (let j = 0; j < side; j++) {
        assert.equal(rows[(i * width + c) * side + j], data[(i - j + side - 1) * width + c]);
      }
    }
  }
});

test("matrices over the same columns are stacked", () => {
  const part = (rows, first) => ({
    bits: 8,
    rows,
    cols: 32,
    values: Uint8Array.from({ length: rows * 32 }, (_, index) => first + index),
    scales: Float32Array.from({ length: rows }, () => first),
  });
  const all = stacked("all", [part(2, 1), part(1, 100)]);
  assert.deepEqual([all.rows, all.values.length, all.values[64]], [3, 96, 100]);
  assert.deepEqual([...all.scales], [1, 1, 100]);
  assert.throws(() => stacked("all", [part(1, 1), { ...part(1, 1), bits: 4 }]), /differently/);
});

test("angles of positions", () => {
  const { cos, sin } = rotary({ rope_theta: 100, max_positions: 3 }, 4);
  assert.equal(cos.length, 6);
  assert.deepEqual([cos[0], sin[0]], [1, 0]);
  assert.ok(Math.abs(cos[4] - Math.cos(2)) < 1e-6 && Math.abs(sin[5] - Math.sin(0.2)) < 1e-6);
});

test("times need right results, and launches on a GPU", () => {
  const sides = (values) => Object.fromEntries(["gpu", "webgpu", "cpu", "wasm"].map(values));
  const measured = {
    times: sides((side) => [side, [3, 1, 2]]),
    dispatchCounts: sides((side) => [side, side.includes("gpu") ? 7 : 0]),
    errors: { gpu: 1e-6, webgpu: 1e-6, cpu: 4e-5, wasm: 0 },
  };
  const one = medians("part", measured);
  assert.equal(one.cpu, 2);
  assert.deepEqual(
    timeCells(one),
    [..."12"].flatMap(() => ["2.0 ms", "2.0 ms", "1.00"]),
  );
  assert.throws(
    () => medians("part", { ...measured, errors: { ...measured.errors, gpu: 4e-5 } }),
    /gpu differs/,
  );
  const wrong = { ...measured, errors: { ...measured.errors, gpu: NaN } };
  assert.throws(() => medians("part", wrong), /gpu differs by NaN/);
  const idle = { ...measured, dispatchCounts: { ...measured.dispatchCounts, webgpu: 0 } };
  assert.throws(() => medians("part", idle), /webgpu launched nothing/);
  const launches = { ours: 2.4, peer: 12 };
  const row = { title: "Part", ...one, launches };
  const table = modelsTable({
    peer: "another",
    model: "tiny",
    rows: [row],
    decoder: { layers: 3, launchMs: 1.25, launches: 21 },
  });
  assert.match(table, /\| Part \| 2\.0 ms \|.* 2 \| 12 \|\n/);
  assert.match(table, /a token of 3 blocks takes 1\.[23] ms .* 21 launches\.$/);
});

test("tasks have the sizes of the model", () => {
  const config = {
    clip: { image_size: 64, patch_size: 16, similarity_prompt: true },
    sam: { image_size: 96 },
    llm: { vocab_size: 50, n_layers: 2, n_heads: 4, n_kv_heads: 2, d_model: 32 },
  };
  const tasks = (positions) =>
    makeTasks({ config: { ...config, llm: { ...config.llm, max_positions: positions } } });
  const [clip, sam, prefill, steps] = tasks(512);
  assert.deepEqual(clip.shapes, { pixels: [1, 3, 64, 64], prior: [1, 4, 16, 16] });
  assert.deepEqual(sam.inputs, ["pixels"]);
  assert.ok(prefill.ids.every((id) => id >= 0 && id < 50));
  assert.deepEqual(steps.kvShape, [1, 2, 512, 8]);
  assert.throws(() => tasks(256), /no room/);
});
