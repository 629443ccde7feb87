/** What a page's worker asks of the GPU, counted where it asks: WebGPU's own methods. */

/** Counts where it runs: in a worker or a page, before its script. */
export function install() {
  const counts = {
    dispatches: 0,
    submissions: 0,
    uploadBytes: 0,
    pipelines: 0,
    pipelinesAhead: 0,
    readbacks: 0,
  };
  /** Pipelines that are being compiled, and the most that were at a time. */
  const compiling = { now: 0, most: 0 };
  /** Dispatches so far, at each piece of the answer. */
  const tokens = [];
  const before = (type, method, count) => {
    const original = type?.prototype[method];
    if (original === undefined) return;
    type.prototype[method] = function (...given) {
      count(...given);
      return original.apply(this, given);
    };
  };
  const {
    GPUBuffer: buffer,
    GPUComputePassEncoder: pass,
    GPUDevice: device,
    GPUQueue: queue,
  } = globalThis;
  before(pass, "dispatchWorkgroups", () => counts.dispatches++);
  before(pass, "dispatchWorkgroupsIndirect", () => counts.dispatches++);
  before(queue, "submit", () => counts.submissions++);
  before(queue, "writeBuffer", (_buffer, _offset, data, from = 0, size = undefined) => {
    const unit = data.BYTES_PER_ELEMENT ?? 1;
    counts.uploadBytes += size === undefined ? data.byteLength - from * unit : size * unit;
  });
  before(device, "createBuffer", ({ mappedAtCreation, size }) => {
    if (mappedAtCreation === true) counts.uploadBytes += size;
  });
  before(device, "createComputePipeline", ({ label }) => {
    // A rehearsal's place holder, which is the same each time.
    if (label !== "nothing") counts.pipelines++;
  });
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
  before(buffer, "mapAsync", () => counts.readbacks++);
  const post = globalThis.postMessage.bind(globalThis);
  globalThis.postMessage = (message, transfer) => {
    if (message?.event?.kind === "token") tokens.push(counts.dispatches);
    post(message, transfer);
  };
  globalThis.gpuCounts = { counts, tokens, compiling };
}

/** Lets every worker of the pages of `context` count. Its service workers must be blocked. */
export async function countInWorkers(context) {
  await context.route(/\/worker-[^/]*\.js$/u, async (route) => {
    const response = await route.fetch();
    const body = `(${String(install)})();\n${await response.text()}`;
    await route.fulfill({ response, body });
  });
}

/** What the page's worker counted so far. */
export async function counted(page) {
  for (const worker of page.workers()) {
    const found = await worker.evaluate(() => globalThis.gpuCounts);
    if (found !== undefined) return found;
  }
  throw new Error("no worker of the page counts what it asks of the GPU");
}

/** What was asked between two counts. */
export function between(earlier, later) {
  const difference = ([name, value]) => [name, value - earlier.counts[name]];
  const tokens = later.tokens.slice(earlier.tokens.length);
  const steps = tokens.slice(1).map((dispatches, index) => dispatches - tokens[index]);
  return { ...Object.fromEntries(Object.entries(later.counts).map(difference)), steps };
}
