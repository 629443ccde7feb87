/**
 * What wgpu does not ask of a browser's device.
 *
 * It calls `createComputePipeline`, after which the GPU's process compiles one pipeline after the other, each before
 * the launch that needs it. While a rehearsal goes on, `createComputePipelineAsync` is called in its place, for many
 * at once, and launches take a shader that does nothing.
 */

let isRehearsing = false;

/** What a rehearsal has asked for, `Promise<void>` each. */
let asked = [];

const VARIABLE =
  /@group\((\d+)\)\s*@binding\((\d+)\)\s*var<(storage|uniform)(?:\s*,\s*(read|read_write))?>/gu;

/** Bindings of a shader for which wgpu wants the browser to find them; none where it has more than one group. */
function bindingsOf(code) {
  const variables = [...code.matchAll(VARIABLE)];
  if (variables.some(([, group]) => group !== "0")) return undefined;
  return variables.map(([, , binding, space, access]) => {
    const storage = access === "read_write" ? "storage" : "read-only-storage";
    const type = space === "uniform" ? "uniform" : storage;
    return { binding: Number(binding), visibility: GPUShaderStage.COMPUTE, buffer: { type } };
  });
}

/** A pipeline that is not compiled yet; to wgpu it is a `GPUComputePipeline`. */
class Late {
  #create;
  #pipeline;
  #empty;
  #bindings;

  constructor(create, empty) {
    this.#create = create;
    this.#empty = empty;
    this.#bindings = empty.getBindGroupLayout(0);
  }

  getBindGroupLayout() {
    return this.#bindings;
  }

  arrived(pipeline) {
    this.#pipeline ??= pipeline;
  }

  /** What a launch takes. Outside of a rehearsal never the shader that does nothing, whatever is compiled by then. */
  get now() {
    if (isRehearsing) return this.#empty;
    this.#pipeline ??= this.#create();
    return this.#pipeline;
  }
}

let isHooked = false;

/** Has the launches of this page or worker take pipelines that were compiled late. */
function hookLaunches() {
  if (isHooked) return;
  isHooked = true;
  const passes = GPUComputePassEncoder.prototype;
  const set = passes.setPipeline;
  passes.setPipeline = function (pipeline) {
    set.call(this, pipeline instanceof Late ? pipeline.now : pipeline);
  };
}

/**
 * Has a device end with what it refuses for the first time: memory that there is not, a call that is wrong. It would
 * go on with whatever lies in its memory; and wgpu's own listener panics.
 */
function endAtRefusal(device) {
  let refusal;
  device.addEventListener("uncapturederror", (event) => {
    event.stopImmediatePropagation();
    refusal ??= event.error.message;
    device.destroy();
  });
  const lost = device.lost.then(({ reason, message }) => ({
    reason,
    message: refusal ?? message,
  }));
  Object.defineProperty(device, "lost", { value: lost });
}

/** The device that a promise brings; from then on it ends when it refuses something, and its pipelines can be rehearsed. */
export async function watched(promise) {
  const device = await promise;
  endAtRefusal(device);
  if (device.createComputePipelineAsync === undefined) return device;
  hookLaunches();
  const codes = new WeakMap();
  const createModule = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) => {
    const module = createModule(descriptor);
    codes.set(module, descriptor.code);
    return module;
  };

  const create = device.createComputePipeline.bind(device);
  const nothing = createModule({ code: "@compute @workgroup_size(1) fn nothing() {}" });
  const layoutOf = ({ layout, compute }) => {
    if (layout !== "auto") return layout;
    const entries = bindingsOf(codes.get(compute.module) ?? "");
    if (entries === undefined) return undefined;
    return device.createPipelineLayout({
      bindGroupLayouts: [device.createBindGroupLayout({ entries })],
    });
  };
  device.createComputePipeline = (descriptor) => {
    const layout = isRehearsing ? layoutOf(descriptor) : undefined;
    if (layout === undefined) return create(descriptor);
    const wanted = { ...descriptor, layout };
    const empty = create({ label: "nothing", layout, compute: { module: nothing } });
    const late = new Late(() => create(wanted), empty);
    const compiling = device.createComputePipelineAsync(wanted).then((pipeline) => {
      late.arrived(pipeline);
    });
    // Who gave up waiting is told where it is needed.
    compiling.catch(() => undefined);
    asked.push(compiling);
    return late;
  };
  return device;
}

/** Begins or ends a rehearsal. */
export function rehearse(begins) {
  isRehearsing = begins;
}

/**
 * Waits for what the rehearsals have asked for.
 *
 * @returns how many pipelines that were.
 * @throws what the browser says of the first that it can't compile.
 */
export async function compiled() {
  const all = asked;
  asked = [];
  const refused = (await Promise.allSettled(all)).find(({ status }) => status === "rejected");
  if (refused !== undefined) throw refused.reason;
  return all.length;
}
