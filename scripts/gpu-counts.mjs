/** Counts the GPU commands of a page's worker by wrapping the methods of WebGPU. */

/** Starts counting; runs in a worker or a page before its script. */
export function install() {
  const counts = {
    dispatches: 0,
    submissions: 0,
    uploadBytes: 0,
    pipelines: 0,
    pipelinesAhead: 0,
    readbacks: 0,
  };
  /** Number of pipelines that are being compiled, and its maximum. */
  const compiling = { now: 0, most: 0 };
  /** Number of dispatches at each token event. */
  const tokens = [];
  const countCalls = (type, method, count) => {
    const original = type?.prototype[method];
    if (original === undefined) return;
    type.prototype[method] = function (...args) {
      count(...args);
      return original.apply(this, args);
    };
  };
  const {
    GPUBuffer: buffer,
    GPUComputePassEncoder: pass,
    GPUDevice: device,
    GPUQueue: queue,
  } = globalThis;
  countCalls(pass, "dispatchWorkgroups", () => counts.dispatches++);
  countCalls(pass, "dispatchWorkgroupsIndirect", () => counts.dispatches++);
  countCalls(queue, "submit", () => counts.submissions++);
  countCalls(queue, "writeBuffer", (_buffer, _offset, data, from = 0, size = undefined) => {
    const unit = data.BYTES_PER_ELEMENT ?? 1;
    counts.uploadBytes += size === undefined ? data.byteLength - from * unit : size * unit;
  });
  countCalls(device, "createBuffer", ({ mappedAtCreation, size }) => {
    if (mappedAtCreation === true) counts.uploadBytes += size;
  });
  countCalls(device, "createComputePipeline", () => counts.pipelines++);
  const createAhead = device?.prototype.createComputePipelineAsync;
  if (createAhead !== undefined) {
    device.prototype.createComputePipelineAsync = async function (descriptor) {
      counts.pipelines++;
      counts.pipelinesAhead++;
      compiling.most = Math.max(compiling.most, ++compiling.now);
      try {
        return await createAhead.call(this, descriptor);
      } finally {
        compiling.now--;
      }
    };
  }
  countCalls(buffer, "mapAsync", () => counts.readbacks++);
  const post = globalThis.postMessage.bind(globalThis);
  globalThis.postMessage = (message, transfer) => {
    if (message?.event?.kind === "token") tokens.push(counts.dispatches);
    post(message, transfer);
  };
  globalThis.gpuCounts = { counts, tokens, compiling };
}

/** Starts counting in every worker of the pages of `context`. Its service workers must be blocked. */
export async function countInWorkers(context) {
  await context.route(/\/worker-[^/]*\.js$/u, async (route) => {
    const response = await route.fetch();
    const body = `(${String(install)})();\n${await response.text()}`;
    await route.fulfill({ response, body });
  });
}

/** The counts of the page's worker so far. */
export async function readCounts(page) {
  for (const worker of page.workers()) {
    const counts = await worker.evaluate(() => globalThis.gpuCounts);
    if (counts !== undefined) return counts;
  }
  throw new Error("no worker of the page counts its GPU commands");
}

/** The difference of two counts, and the dispatches per token between them. */
export function difference(earlier, later) {
  const subtract = ([name, value]) => [name, value - earlier.counts[name]];
  const tokens = later.tokens.slice(earlier.tokens.length);
  const steps = tokens.slice(1).map((dispatches, index) => dispatches - tokens[index]);
  return { ...Object.fromEntries(Object.entries(later.counts).map(subtract)), steps };
}
