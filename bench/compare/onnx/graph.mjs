/** A builder of ONNX graphs. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { BLOCK, unsigned } from "./weights.mjs";

/** Element types, numbered as in onnx.proto3. */
export const TYPES = { float: 1, uint8: 2, int32: 6, int64: 7 };
/** Types of attributes, numbered as in onnx.proto3. */
const [FLOAT, INT, INTS] = [1, 2, 7];
const CONTRIB = "com.microsoft";

/** A float attribute. */
export const real = (f) => ({ f, type: FLOAT });

function attribute([name, value]) {
  if (Array.isArray(value)) return { name, ints: value, type: INTS };
  if (typeof value === "object") return { name, ...value };
  return { name, i: value, type: INT };
}

/** A graph under construction. Values are referenced by name; `""` is an omitted optional input. */
export class Graph {
  #nodes = [];
  #tensors = new Map();
  #inputs = [];
  #outputs = [];
  #count = 0;

  /** Declares an input; a dimension is a number or a name. */
  input(name, shape, type = "float") {
    this.#inputs.push(valueInfo(name, shape, type));
    return name;
  }

  /** Makes `value` an output called `name`. */
  output(name, value, shape) {
    this.#nodes.push({ input: [value], output: [name], opType: "Identity" });
    this.#outputs.push(valueInfo(name, shape, "float"));
  }

  /** A constant from a typed array. */
  constant(name, shape, data, type = "float") {
    if (!this.#tensors.has(name)) {
      const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      this.#tensors.set(name, { name, dims: shape, dataType: TYPES[type], rawData });
    }
    return name;
  }

  /** A constant of int64, for shapes and axes. */
  ints(values) {
    const data = BigInt64Array.from(values, BigInt);
    return this.constant(`ints ${values.join(" ")}`, [values.length], data, "int64");
  }

  /** Adds a node of a standard ONNX operator and returns the names of its outputs. */
  nodes(opType, input, attributes = {}, count = 1, domain = "") {
    const output = Array.from({ length: count }, () => `v${this.#count++}`);
    const listed = Object.entries(attributes).map(attribute);
    this.#nodes.push({ input, output, opType, domain, attribute: listed });
    return output;
  }

  /** {@link nodes} with one output. */
  node(opType, input, attributes = {}) {
    return this.nodes(opType, input, attributes)[0];
  }

  /** Adds a node of one of onnxruntime's contrib operators. */
  contribs(opType, input, attributes = {}, count = 1) {
    return this.nodes(opType, input, attributes, count, CONTRIB);
  }

  /** {@link contribs} with one output. */
  contrib(opType, input, attributes = {}) {
    return this.contribs(opType, input, attributes)[0];
  }

  reshape(x, shape) {
    return this.node("Reshape", [x, this.ints(shape)]);
  }

  transpose(x, perm) {
    return this.node("Transpose", [x], { perm });
  }

  /** A linear layer with a packed weight `{ name, bits, rows, cols, values, scales }`. */
  packed(x, weight, bias = "") {
    const { name, bits, rows, cols } = weight;
    const blocks = cols / BLOCK;
    const values = unsigned(bits, weight.values);
    const w = this.constant(`${name} values`, [rows, blocks, (BLOCK * bits) / 8], values, "uint8");
    const s = this.constant(`${name} scales`, [rows * blocks], weight.scales);
    const input = bias === "" ? [x, w, s] : [x, w, s, "", "", bias];
    const sizes = { K: cols, N: rows, bits, block_size: BLOCK, accuracy_level: 0 };
    return this.contrib("MatMulNBits", input, sizes);
  }

  /** The bytes of the model file. */
  encode() {
    const Model = modelType();
    const graph = {
      name: "part",
      node: this.#nodes,
      initializer: [...this.#tensors.values()],
      input: this.#inputs,
      output: this.#outputs,
    };
    const opsetImport = [
      { domain: "", version: 21 },
      { domain: CONTRIB, version: 1 },
    ];
    const model = Model.create({ irVersion: 10, opsetImport, graph });
    return Buffer.from(Model.encode(model).finish());
  }
}

function valueInfo(name, shape, type) {
  const dim = shape.map((size) =>
    typeof size === "string" ? { dimParam: size } : { dimValue: size },
  );
  return { name, type: { tensorType: { elemType: TYPES[type], shape: { dim } } } };
}

function modelType() {
  const folder = import.meta.dirname;
  const require = createRequire(join(folder, "package.json"));
  const { root } = require("protobufjs").parse(readFileSync(join(folder, "onnx.proto"), "utf8"));
  return root.lookupType("onnx.ModelProto");
}
