/** Products with packed weights: our kernels and those of onnxruntime-web (the peer). */
import { Product } from "/vmad/vmad_bench.js";
import { applyFeatures, compare, fetchBytes, openSession, readAndDispose } from "./runtimes.js";

async function ours(gpu, { bits, rows, cols, id }, x) {
  const values = new Uint8Array(await fetchBytes(`/case/${id}/values`));
  const scales = new Uint16Array(await fetchBytes(`/case/${id}/scales`));
  const product = await Product.load(gpu, bits, rows, cols, values, scales);
  if (gpu) await applyFeatures();
  return { run: () => product.run(x), free: () => product.free() };
}

async function theirs(provider, { tokens, cols, id }, x) {
  const model = await fetchBytes(`/case/${id}/model.onnx`);
  const { session, tensor } = await openSession(provider, model);
  return {
    run: async () =>
      readAndDispose((await session.run({ x: tensor("float32", x, [tokens, cols]) })).y),
    free: () => session.release(),
  };
}

/** {@link compare} for one product. */
export async function compareProduct(task, runs) {
  const x = new Float32Array(await fetchBytes(`/case/${task.id}/x`));
  const makers = {
    gpu: () => ours(true, task, x),
    webgpu: () => theirs("webgpu", task, x),
    cpu: () => ours(false, task, x),
    wasm: () => theirs("wasm", task, x),
  };
  return compare(makers, runs);
}
