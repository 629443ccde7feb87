import { Channel } from "./channel.js";
import { toVmadError, VmadError } from "./errors.js";
import type {
  CalibrateEvent,
  CalibrationOptions,
  CalibrationPhoto,
  DeviceChoice,
  DeviceInfo,
  DoneEvent,
  Generation,
  InspectEvent,
  ProgressEvent,
  Query,
  Reply,
  Report,
  Request,
} from "./protocol.js";

/** Photographs above this are refused before they are read into memory. */
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
  /** Gives up the opening. */
  signal?: AbortSignal;
  /** Hears of the loading, also when the engine is restarted later on. */
  onProgress?: (event: ProgressEvent) => void;
  /** Makes the worker, for bundlers that need to be told where it is. */
  createWorker?: () => WorkerLike;
}

/** Options of one call. */
export interface CallOptions {
  /**
   * Gives up the call. This is no error: the iteration ends with `done` and the reason `cancelled`,
   * and what came before stays valid.
   */
  signal?: AbortSignal;
}

/** What is known of a part before looking. */
export type PartLabel = "good" | "defective";

/** Options of a calibration. */
export interface CalibrateOptions extends CallOptions, CalibrationOptions {
  /** What each photograph shows, in their order; `good` where there is none. */
  labels?: readonly PartLabel[];
}

type NewRequest<K extends Request["kind"]> = Omit<Extract<Request, { kind: K }>, "id">;
type Call = Channel<Exclude<Reply, { kind: "finished" | "failed" | "crashed" }>>;
type Image = Blob | ArrayBuffer;

/** A request that is ready to be sent, with the buffers it hands over. */
interface Prepared {
  request:
    NewRequest<"inspect"> | NewRequest<"ask"> | NewRequest<"calibrate"> | NewRequest<"report">;
  transfer: Transferable[];
}

/**
 * A model in a worker. Calls may overlap and are answered one after the other. If the engine goes
 * down, the running call fails with a {@link VmadError} that is `fatal`; the next call starts a new
 * engine, so the inspector as such stays usable until it is closed.
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
    const giveUp = (): void => {
      inspector.#shutDown(cancelled());
    };
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      await inspector.#start();
      return inspector;
    } catch (thrown) {
      inspector.close();
      throw toVmadError(thrown);
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  private constructor(options: Omit<OpenOptions, "signal">) {
    this.#options = options;
  }

  /** The device that runs, and why; what it was before a restart while one is under way. */
  get device(): DeviceInfo {
    if (!this.#device) throw new VmadError("closed", "the inspector is not open");
    return this.#device;
  }

  /**
   * Inspects a photograph: yields `progress`, `token`, `mask` and `result` events and, last, `done`.
   * Nothing runs before the first event is asked for; leaving the loop gives the call up.
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
      // The engine was restarted since: show it the photograph again before it is asked about it.
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
   * are asked for and read one at a time. The conversation about the photograph inspected before
   * goes on afterwards.
   */
  async *calibrate(
    photos: Iterable<Blob> | AsyncIterable<Blob>,
    { signal, labels = [], ...options }: CalibrateOptions = {},
  ): AsyncGenerator<CalibrateEvent, void, undefined> {
    const request: Prepared["request"] = { kind: "calibrate", options };
    const supply = specimens(photos, labels);
    const prepare = (): Promise<Prepared> => Promise.resolve({ request, transfer: [] });
    yield* this.#stream<CalibrateEvent>(prepare, signal, supply);
  }

  /** Memory and times of the session. */
  async report(): Promise<Report> {
    const request: Prepared["request"] = { kind: "report" };
    const { call } = await this.#call(() => Promise.resolve({ request, transfer: [] }));
    for await (const reply of call) {
      if (reply.kind === "reported") return reply.report;
    }
    throw new VmadError("internal", "the engine ended without a report");
  }

  /** Ends the worker and frees what it holds. Calls under way fail with the code `closed`. */
  close(): void {
    this.#closed = true;
    this.#lastInspection = undefined;
    this.#shutDown(new VmadError("closed", "the inspector was closed"));
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** The events of a call; `supply` has the photographs that it asks for. */
  async *#stream<E extends InspectEvent | CalibrateEvent>(
    prepare: () => Promise<Prepared>,
    signal: AbortSignal | undefined,
    supply?: AsyncGenerator<CalibrationPhoto, void, undefined>,
  ): AsyncGenerator<E | DoneEvent, void, undefined> {
    if (signal?.aborted) {
      yield { kind: "done", reason: "cancelled" };
      return;
    }
    const { id, call } = await this.#call(prepare);
    const cancel = (): void => {
      this.#worker?.postMessage({ kind: "cancel", id }, []);
    };
    // The signal may have fired while a new engine was being started.
    if (wasAborted(signal)) cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      for await (const reply of call) {
        // The worker answers a call with events of its kind.
        if (reply.kind === "event") yield reply.event as E;
        else if (reply.kind === "wanted") void this.#supply(id, call, supply);
      }
    } finally {
      signal?.removeEventListener("abort", cancel);
      if (this.#calls.delete(id)) cancel();
      void supply?.return().catch(() => undefined);
    }
  }

  /** Sends the next photograph; a source that fails ends the call with its own error. */
  async #supply(
    id: number,
    call: Call,
    supply: AsyncGenerator<CalibrationPhoto, void, undefined> | undefined,
  ): Promise<void> {
    try {
      const next = await supply?.next();
      if (this.#calls.get(id) !== call) return;
      const photo = next?.value ?? null;
      const transfer = photo?.image ? [photo.image.buffer] : [];
      this.#worker?.postMessage({ kind: "photo", id, photo }, transfer);
    } catch (thrown) {
      call.end(toVmadError(thrown));
    }
  }

  /**
   * Sends a request to the worker, starting a new one if there is none. Requests are sent in the
   * order of the calls, however long each takes to prepare.
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
      if (worker === this.#worker) this.#take(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      // Before it has answered anything, a worker fails because it could not be loaded.
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
        if (reply.kind === "opened") this.#device = reply.device;
        else if (reply.kind === "event" && reply.event.kind === "progress") {
          onProgress?.(reply.event);
        }
      }
    } catch (thrown) {
      // A worker without a package is of no use; the next call tries again with a new one.
      const error = toVmadError(thrown);
      this.#shutDown(error);
      throw error;
    }
  }

  #take(reply: Reply): void {
    switch (reply.kind) {
      case "event":
      case "wanted":
      case "opened":
      case "reported":
        this.#calls.get(reply.id)?.push(reply);
        return;
      case "finished":
        this.#settle(reply.id);
        return;
      case "failed": {
        const error = new VmadError(reply.code, reply.message);
        if (error.fatal) this.#shutDown(error);
        else this.#settle(reply.id, error);
        return;
      }
      case "crashed":
        this.#shutDown(new VmadError("crashed", reply.message));
        return;
      default:
        reply satisfies never;
    }
  }

  #settle(id: number, error?: VmadError): void {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    call?.end(error);
  }

  #shutDown(error: VmadError): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#imageIsLoaded = false;
    for (const id of [...this.#calls.keys()]) this.#settle(id, error);
  }
}

function defaultWorker(): WorkerLike {
  return new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "vmad" });
}

/** An absolute address with a slash at its end, so that file names can be appended. */
function folderUrl(packageUrl: string): string {
  const base = typeof document === "undefined" ? undefined : document.baseURI;
  const { href } = new URL(packageUrl, base);
  return href.endsWith("/") ? href : `${href}/`;
}

/** Reads a photograph into a buffer of its own, which can then be handed to the worker. */
async function read(image: Image): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = image instanceof ArrayBuffer ? image.byteLength : image.size;
  if (bytes > MAX_IMAGE_BYTES) {
    throw new VmadError(
      "image-too-large",
      `the file has ${bytes} bytes, the most is ${MAX_IMAGE_BYTES}`,
    );
  }
  if (image instanceof ArrayBuffer) return new Uint8Array(image.slice());
  try {
    return new Uint8Array(await image.arrayBuffer());
  } catch (thrown) {
    throw new VmadError("file-unreadable", String(thrown), { cause: thrown });
  }
}

/** Each photograph as the worker takes it, read when it is asked for. */
async function* specimens(
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

/** Asked through a function because the compiler takes a signal once read to stay as it was. */
function wasAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted ?? false;
}

function cancelled(): VmadError {
  return new VmadError("cancelled", "the opening was cancelled");
}
