import { Channel } from "../internal/channel.js";
import type { CalibrationPhoto, Reply, Request } from "../internal/protocol.js";
import { toVmadError, VmadError } from "./errors.js";
import type {
  CalibrateEvent,
  CalibrationOptions,
  DeviceChoice,
  DeviceInfo,
  DoneEvent,
  Generation,
  InspectEvent,
  ProgressEvent,
  Query,
  Report,
} from "./types.js";

/** Larger files are refused before they are read into memory. */
export const MAX_IMAGE_BYTES = 256 * 1024 * 1024;

/** The part of a `Worker` that the inspector uses. */
export interface WorkerLike {
  onmessage: ((message: MessageEvent<Reply>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  postMessage(request: Request, transfer: Transferable[]): void;
  terminate(): void;
}

/** How to open a model package. */
export interface OpenOptions {
  /** The folder that holds `model.json`, relative to the page or absolute. */
  packageUrl: string;
  /** `auto` if absent. */
  device?: DeviceChoice;
  /** Cancels the opening. */
  signal?: AbortSignal;
  /** Called with the progress of loading, also after a restart of the engine. */
  onProgress?: (event: ProgressEvent) => void;
  /** Makes the worker, for bundlers that do not find it by its URL. */
  createWorker?: () => WorkerLike;
}

/** Options of one call. */
export interface CallOptions {
  /**
   * Cancels the call. This is not an error: the iteration ends with `done` and the reason
   * `cancelled`. Earlier results stay valid.
   */
  signal?: AbortSignal;
}

/** The label of a calibration photograph. */
export type PartLabel = "good" | "defective";

/** Options of a calibration. */
export interface CalibrateOptions extends CallOptions, CalibrationOptions {
  /** One label for each photograph, in the same order; `good` where a label is missing. */
  labels?: readonly PartLabel[];
}

/** A request without the id, which {@link Inspector} assigns when it sends the request. */
type NewRequest<K extends Request["kind"]> = Omit<Extract<Request, { kind: K }>, "id">;
/** The replies to one request. */
type Call = Channel<Exclude<Reply, { kind: "finished" | "failed" | "crashed" }>>;
type Image = Blob | ArrayBuffer;

/** A request that is ready to be sent, with the buffers to transfer. */
interface Prepared {
  request:
    NewRequest<"inspect"> | NewRequest<"ask"> | NewRequest<"calibrate"> | NewRequest<"report">;
  transfer: Transferable[];
}

/**
 * A model in a worker. Calls may overlap; they run one after the other. If the engine crashes, the
 * running call fails with a {@link VmadError} that is `fatal`. The next call starts a new engine, so
 * the inspector stays usable until it is closed.
 */
export class Inspector {
  readonly #options: Omit<OpenOptions, "signal">;
  readonly #calls = new Map<number, Call>();
  #worker: WorkerLike | undefined;
  #device: DeviceInfo | undefined;
  #starting: Promise<void> | undefined;
  #sending: Promise<unknown> = Promise.resolve();
  #nextId = 0;
  #closed = false;
  #lastInspection: { image: Image; query: Query } | undefined;
  #imageIsLoaded = false;

  /** Starts a worker and loads a package into it. */
  static async open(options: OpenOptions): Promise<Inspector> {
    const { signal, ...rest } = options;
    const inspector = new Inspector(rest);
    if (signal?.aborted) throw cancelled();
    const cancel = (): void => {
      inspector.#shutDown(cancelled());
    };
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      await inspector.#start();
      return inspector;
    } catch (thrown) {
      inspector.close();
      throw toVmadError(thrown);
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  private constructor(options: Omit<OpenOptions, "signal">) {
    this.#options = options;
  }

  /** The device in use and why it was chosen; during a restart, the device before it. */
  get device(): DeviceInfo {
    if (!this.#device) throw new VmadError("closed", "the inspector is not open");
    return this.#device;
  }

  /**
   * Inspects a photograph: yields `progress`, `token`, `mask` and `result` events and, last, `done`.
   * The call starts with the first `next()`; leaving the loop cancels it.
   */
  async *inspect(
    image: Image,
    query: Query = {},
    { signal }: CallOptions = {},
  ): AsyncGenerator<InspectEvent, void, undefined> {
    const request = async (): Promise<Prepared> => {
      const bytes = await read(image);
      return { request: { kind: "inspect", image: bytes, query }, transfer: [bytes.buffer] };
    };
    for await (const event of this.#stream<InspectEvent>(request, signal)) {
      if (event.kind === "result") {
        this.#lastInspection = { image, query };
        this.#imageIsLoaded = true;
      }
      yield event;
    }
  }

  /** Asks a further question about the photograph last inspected. */
  async *ask(
    question: string,
    { signal, ...generation }: CallOptions & Generation = {},
  ): AsyncGenerator<InspectEvent, void, undefined> {
    if (this.#lastInspection && !this.#imageIsLoaded) {
      // The engine has restarted and lost the image features: inspect the photograph again.
      const { image, query } = this.#lastInspection;
      for await (const event of this.inspect(image, { ...query, ask: "none" })) {
        if (event.kind === "progress") yield event;
      }
    }
    const request: Prepared["request"] = { kind: "ask", question, generation };
    yield* this.#stream<InspectEvent>(() => Promise.resolve({ request, transfer: [] }), signal);
  }

  /**
   * Finds thresholds from photographs of good parts, and of defective ones where `labels` says so:
   * yields `scored` or `skipped` for each photograph, then `calibration`, then `done`. Photographs
   * are read one at a time, when the engine requests them. The conversation about the last inspected
   * photograph is kept.
   */
  async *calibrate(
    photos: Iterable<Blob> | AsyncIterable<Blob>,
    { signal, labels = [], ...options }: CalibrateOptions = {},
  ): AsyncGenerator<CalibrateEvent, void, undefined> {
    const request: Prepared["request"] = { kind: "calibrate", options };
    const source = calibrationPhotos(photos, labels);
    const prepare = (): Promise<Prepared> => Promise.resolve({ request, transfer: [] });
    yield* this.#stream<CalibrateEvent>(prepare, signal, source);
  }

  /** Memory use and stage times of the session. */
  async report(): Promise<Report> {
    const request: Prepared["request"] = { kind: "report" };
    const { call } = await this.#call(() => Promise.resolve({ request, transfer: [] }));
    for await (const reply of call) {
      if (reply.kind === "reported") return reply.report;
    }
    throw new VmadError("internal", "the engine ended without a report");
  }

  /** Terminates the worker and frees its memory. Running calls fail with the code `closed`. */
  close(): void {
    this.#closed = true;
    this.#lastInspection = undefined;
    this.#shutDown(new VmadError("closed", "the inspector was closed"));
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** The events of a call; `source` supplies the photographs that a calibration requests. */
  async *#stream<E extends InspectEvent | CalibrateEvent>(
    prepare: () => Promise<Prepared>,
    signal: AbortSignal | undefined,
    source?: AsyncGenerator<CalibrationPhoto, void, undefined>,
  ): AsyncGenerator<E | DoneEvent, void, undefined> {
    if (signal?.aborted) {
      yield { kind: "done", reason: "cancelled" };
      return;
    }
    const { id, call } = await this.#call(prepare);
    const cancel = (): void => {
      this.#worker?.postMessage({ kind: "cancel", id }, []);
    };
    // The signal may have fired while a new engine was starting.
    if (wasAborted(signal)) cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      for await (const reply of call) {
        switch (reply.kind) {
          case "event":
            // The worker answers a request with the events of that kind of request.
            yield reply.event as E;
            break;
          case "next-photo":
            void this.#sendPhoto(id, call, source);
            break;
          case "opened":
          case "reported":
            // Only `#open` and `report` get these.
            break;
          default:
            reply satisfies never;
        }
      }
    } finally {
      signal?.removeEventListener("abort", cancel);
      if (this.#calls.delete(id)) cancel();
      void source?.return().catch(() => undefined);
    }
  }

  /** Sends the next photograph. If the source throws, the call fails with that error. */
  async #sendPhoto(
    id: number,
    call: Call,
    source: AsyncGenerator<CalibrationPhoto, void, undefined> | undefined,
  ): Promise<void> {
    try {
      const next = await source?.next();
      if (this.#calls.get(id) !== call) return;
      const photo = next?.value ?? null;
      const transfer = photo?.image ? [photo.image.buffer] : [];
      this.#worker?.postMessage({ kind: "photo", id, photo }, transfer);
    } catch (thrown) {
      call.end(toVmadError(thrown));
    }
  }

  /**
   * Sends a request to the worker and starts a worker if there is none. Requests are sent in the
   * order of the calls, even if a later one is prepared first.
   */
  #call(prepare: () => Promise<Prepared>): Promise<{ id: number; call: Call }> {
    const sent = this.#sending.then(async () => {
      const { request, transfer } = await prepare();
      await this.#start();
      const id = this.#nextId++;
      const call: Call = new Channel();
      this.#calls.set(id, call);
      this.#worker?.postMessage({ ...request, id }, transfer);
      return { id, call };
    });
    this.#sending = sent.catch(() => undefined);
    return sent;
  }

  #start(): Promise<void> {
    if (this.#closed) return Promise.reject(new VmadError("closed", "the inspector was closed"));
    if (this.#worker && !this.#starting) return Promise.resolve();
    this.#starting ??= this.#open().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #open(): Promise<void> {
    const { packageUrl, device = "auto", onProgress, createWorker = defaultWorker } = this.#options;
    const worker = createWorker();
    this.#worker = worker;
    worker.onmessage = ({ data }) => {
      if (worker === this.#worker) this.#handleReply(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      // A worker that fails before its first reply could not be loaded.
      const code = this.#device ? "crashed" : "unsupported";
      const message = event.message || "the engine could not be started";
      if (worker === this.#worker) this.#shutDown(new VmadError(code, message));
    };
    const id = this.#nextId++;
    const call: Call = new Channel();
    this.#calls.set(id, call);
    worker.postMessage({ kind: "open", id, packageUrl: folderUrl(packageUrl), device }, []);
    try {
      for await (const reply of call) {
        switch (reply.kind) {
          case "opened":
            this.#device = reply.device;
            break;
          case "event":
            if (reply.event.kind === "progress") onProgress?.(reply.event);
            break;
          case "next-photo":
          case "reported":
            // Replies to other requests.
            break;
          default:
            reply satisfies never;
        }
      }
    } catch (thrown) {
      // A worker without a package is terminated; the next call tries again with a new one.
      const error = toVmadError(thrown);
      this.#shutDown(error);
      throw error;
    }
  }

  #handleReply(reply: Reply): void {
    switch (reply.kind) {
      case "event":
      case "next-photo":
      case "opened":
      case "reported":
        this.#calls.get(reply.id)?.push(reply);
        return;
      case "finished":
        this.#endCall(reply.id);
        return;
      case "failed": {
        const error = new VmadError(reply.code, reply.message);
        if (error.fatal) this.#shutDown(error);
        else this.#endCall(reply.id, error);
        return;
      }
      case "crashed":
        this.#shutDown(new VmadError("crashed", reply.message));
        return;
      default:
        reply satisfies never;
    }
  }

  #endCall(id: number, error?: VmadError): void {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    call?.end(error);
  }

  #shutDown(error: VmadError): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#imageIsLoaded = false;
    for (const id of [...this.#calls.keys()]) this.#endCall(id, error);
  }
}

function defaultWorker(): WorkerLike {
  return new Worker(new URL("../internal/worker.js", import.meta.url), {
    type: "module",
    name: "vmad",
  });
}

/** The absolute URL with a slash at its end, so that file names can be appended. */
function folderUrl(packageUrl: string): string {
  const base = typeof document === "undefined" ? undefined : document.baseURI;
  const { href } = new URL(packageUrl, base);
  return href.endsWith("/") ? href : `${href}/`;
}

/** Reads a photograph into a new buffer, which can be transferred to the worker. */
async function read(image: Image): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = image instanceof ArrayBuffer ? image.byteLength : image.size;
  if (bytes > MAX_IMAGE_BYTES) {
    throw new VmadError(
      "image-too-large",
      `the file has ${bytes} bytes, the limit is ${MAX_IMAGE_BYTES}`,
    );
  }
  if (image instanceof ArrayBuffer) return new Uint8Array(image.slice());
  try {
    return new Uint8Array(await image.arrayBuffer());
  } catch (thrown) {
    throw new VmadError("file-unreadable", String(thrown), { cause: thrown });
  }
}

/** The photographs in the form that the worker takes; each is read when it is requested. */
async function* calibrationPhotos(
  photos: Iterable<Blob> | AsyncIterable<Blob>,
  labels: readonly PartLabel[],
): AsyncGenerator<CalibrationPhoto, void, undefined> {
  let index = 0;
  for await (const blob of photos) {
    const defective = labels[index] === "defective";
    index += 1;
    const name = blob instanceof File ? blob.name : `photograph ${index}`;
    try {
      yield { name, defective, image: await read(blob) };
    } catch (thrown) {
      yield { name, defective, failure: toVmadError(thrown).message };
    }
  }
}

/** A function, because the compiler assumes that `aborted` does not change after the first check. */
function wasAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted ?? false;
}

function cancelled(): VmadError {
  return new VmadError("cancelled", "the opening was cancelled");
}
