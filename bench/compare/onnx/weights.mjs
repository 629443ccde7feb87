/** Reads the weights of a package and converts them to the formats of ONNX. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Columns that share a scale. */
export const BLOCK = 32;

/** f16 bits to f32. */
export function floats(halves) {
  return Float32Array.from(halves, (half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const [exponent, fraction] = [(half >> 10) & 31, half & 1023];
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}

/** Packed values as `MatMulNBits` expects them: unsigned, with an offset. Nibbles are stored that way. */
export function unsigned(bits, values) {
  return bits === 4 ? values : values.map((byte) => byte ^ 0x80);
}

/** An 8-bit matrix in f32. */
export function unpacked({ bits, rows, cols, values, scales }) {
  if (bits !== 8) throw new Error(`unpacking ${bits} bits is not supported`);
  const value = (index) => ((values[index] << 24) >> 24) * scales[Math.floor(index / BLOCK)];
  return Float32Array.from({ length: rows * cols }, (_, index) => value(index));
}

/** The tensors of the package in `folder`, by name. */
export function openPackage(folder) {
  const { config, shards } = JSON.parse(readFileSync(join(folder, "model.json"), "utf8"));
  const stored = new Map();
  for (const { file } of shards) readShard(readFileSync(join(folder, file)), stored);
  const entry = (name) => {
    const found = stored.get(name);
    if (found === undefined) throw new Error(`the package has no ${name}`);
    return found;
  };
  return {
    config,
    files: ["model.json", "tokenizer.json", ...shards.map(({ file }) => file)],
    has: (name) => stored.has(name),
    /** `{ shape, data }` in f32. */
    dense: (name) => {
      const { dtype, shape, bytes } = entry(name);
      const data = dtype === "F16" ? floats(typed(Uint16Array, bytes)) : typed(Float32Array, bytes);
      return { shape, data };
    },
    /** A packed matrix of 4 or 8 bits. */
    packed: (name) => {
      const bits = stored.has(`${name}.q8`) ? 8 : 4;
      const { shape, bytes } = entry(`${name}.q${bits}`);
      const rows = shape[0];
      const cols = (bytes.length * 8) / bits / rows;
      const scales = floats(typed(Uint16Array, entry(`${name}.scales`).bytes));
      return { name, bits, rows, cols, values: Uint8Array.from(bytes), scales };
    },
  };
}

/** Adds the entries of a safetensors file. */
function readShard(file, stored) {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, 8 + length));
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = offsets.map((offset) => 8 + length + offset);
    stored.set(name, { dtype, shape, bytes: file.subarray(from, to) });
  }
}

/** A copy, because a view must be aligned to its element size. */
function typed(Type, bytes) {
  return new Type(Uint8Array.from(bytes).buffer);
}
