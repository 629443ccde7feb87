/**
 * Patches of WebGPU objects that wgpu's web backend needs. `mod.rs` lists each with its upstream issue and the condition
 * that ends it.
 */

/** Whether the code that runs now belongs to a precompile pass. Rust sets it for the length of one poll. */
let isPrecompiling = false;

/** The pipelines that passes have requested, `Promise<void>` each. */
let requested = [];

const VARIABLE =
  /@group\((\d+)\)\s*@binding\((\d+)\)\s*var<(storage|uniform)(?:\s*,\s*(read|read_write))?>/gu;

/** The bindings that an automatic layout would derive from a shader; `undefined` where it has several groups. */
function bindingsOf(code) {
  const variables = [...code.matchAll(VARIABLE)];
  if (variables.some(([, group]) => group !== "0")) return undefined;
  return variables.map(([, , binding, space, access]) => {
    const storage = access === "read_write" ? "storage" : "read-only-storage";
    const type = space === "uniform" ? "uniform" : storage;
    return { binding: Number(binding), visibility: GPUShaderStage.COMPUTE, buffer: { type } };
  });
}

/** A pipeline that may not be compiled yet. wgpu takes it for a `GPUComputePipeline`. */
class PendingPipeline {
  #create;
  #bindGroupLayouts;
  #pipeline;

  constructor(create, bindGroupLayouts) {
    this.#create = create;
    this.#bindGroupLayouts = bindGroupLayouts;
  }

  getBindGroupLayout(index) {
    return this.#bindGroupLayouts[index];
  }

  compiled(pipeline) {
    this.#pipeline ??= pipeline;
  }

  /** The pipeline; compiled now where it is launched before the browser has finished. */
  get pipeline() {
    this.#pipeline ??= this.#create();
    return this.#pipeline;
  }
}

let arePrototypesPatched = false;

function patchPrototypes() {
  if (arePrototypesPatched) return;
  arePrototypesPatched = true;
  const passes = GPUComputePassEncoder.prototype;
  const { setPipeline } = passes;
  passes.setPipeline = function (pipeline) {
    setPipeline.call(this, pipeline instanceof PendingPipeline ? pipeline.pipeline : pipeline);
  };
  // Launches of a pass compute nothing, so that its reads would return uninitialised memory, which may hold NaN.
  const encoders = GPUCommandEncoder.prototype;
  const { copyBufferToBuffer } = encoders;
  encoders.copyBufferToBuffer = function (source, ...rest) {
    const [target, offset, size] =
      typeof rest[0] === "number" ? rest.slice(1) : [rest[0], 0, rest[1]];
    if (isPrecompiling && (target.usage & GPUBufferUsage.MAP_READ) !== 0) {
      this.clearBuffer(target, offset, size);
    } else {
      copyBufferToBuffer.call(this, source, ...rest);
    }
  };
}

/**
 * Destroys a device at its first uncaptured error, such as a lack of memory: it would go on with whatever its buffers
 * hold, and wgpu's own listener panics. The next read then fails with the message.
 */
function destroyAtError(device) {
  let message;
  device.addEventListener("uncapturederror", (event) => {
    event.stopImmediatePropagation();
    message ??= event.error.message;
    device.destroy();
  });
  const lost = device.lost.then((info) => ({
    reason: info.reason,
    message: message ?? info.message,
  }));
  Object.defineProperty(device, "lost", { value: lost });
}

/** The device of a promise, patched. */
export async function patchedDevice(promise) {
  const device = await promise;
  destroyAtError(device);
  if (device.createComputePipelineAsync === undefined) return device;
  patchPrototypes();
  const codes = new WeakMap();
  const createModule = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) => {
    const module = createModule(descriptor);
    codes.set(module, descriptor.code);
    return module;
  };
  const bindGroupLayouts = new WeakMap();
  const createLayout = device.createPipelineLayout.bind(device);
  device.createPipelineLayout = (descriptor) => {
    const layout = createLayout(descriptor);
    bindGroupLayouts.set(layout, [...descriptor.bindGroupLayouts]);
    return layout;
  };
  /** The layout that the browser would derive from a shader; `undefined` where it has several groups. */
  const automaticLayout = (code) => {
    const entries = bindingsOf(code);
    if (entries === undefined) return undefined;
    const group = device.createBindGroupLayout({ entries });
    return device.createPipelineLayout({ bindGroupLayouts: [group] });
  };
  const create = device.createComputePipeline.bind(device);
  device.createComputePipeline = (descriptor) => {
    if (!isPrecompiling) return create(descriptor);
    const { layout: stated, compute } = descriptor;
    const layout = stated === "auto" ? automaticLayout(codes.get(compute.module) ?? "") : stated;
    if (layout === undefined) return create(descriptor);
    const wanted = { ...descriptor, layout };
    const pending = new PendingPipeline(() => create(wanted), bindGroupLayouts.get(layout) ?? []);
    const compiling = device.createComputePipelineAsync(wanted).then((pipeline) => {
      pending.compiled(pipeline);
    });
    // A pass that is given up waits for nothing; the launch that needs the pipeline reports the error.
    compiling.catch(() => undefined);
    requested.push(compiling);
    return pending;
  };
  return device;
}

/** Begins or ends the part of a precompile pass that runs now. */
export function setPrecompiling(on) {
  isPrecompiling = on;
}

/**
 * Waits for the pipelines that passes have requested.
 *
 * @returns their number.
 * @throws the browser's error for the first pipeline that it rejects.
 */
export async function compiledPipelines() {
  const all = requested;
  requested = [];
  const rejected = (await Promise.allSettled(all)).find(({ status }) => status === "rejected");
  if (rejected !== undefined) throw rejected.reason;
  return all.length;
}
