import { toVmadError, VmadError } from "../public/errors.js";
import type { CalibrateEvent, InspectEvent } from "../public/types.js";
import type { EngineModule, WasmInspector } from "./engine.js";
import type { CalibrationPhoto, Reply, Request } from "./protocol.js";

/** Sends a reply and transfers the buffers listed. */
export type Post = (reply: Reply, transfer: Transferable[]) => void;

/** A request that waits in the queue; the other kinds concern a request that is running. */
type QueuedRequest = Exclude<Request, { kind: "cancel" | "photo" }>;

/**
 * The worker's side of the protocol, independent of any worker so that tests can run it. Returns
 * the handler of requests. Requests may arrive at any time and run one after the other; `cancel`
 * and `photo` act at once.
 */
export function serve(
  loadEngine: () => Promise<EngineModule>,
  post: Post,
): (request: Request) => void {
  let inspector: WasmInspector | undefined;
  let runningId: number | undefined;
  let lastStartedId = -1;
  // Requests cancelled before they started: they must never reach the engine. Ids only grow.
  const cancelledIds = new Set<number>();
  let queue = Promise.resolve();
  // The warm-up that runs between requests; the next request cancels it.
  let warmUpRun: Promise<void> | undefined;
  let isWarm = false;
  let cancelWarmUp = (): void => undefined;
  // Resolves the photograph that the running calibration waits for.
  let deliverPhoto: ((photo: CalibrationPhoto | null) => void) | undefined;

  const requestPhoto = (id: number): Promise<CalibrationPhoto | null> => {
    const photo = new Promise<CalibrationPhoto | null>((resolve) => {
      deliverPhoto = resolve;
    });
    post({ kind: "next-photo", id }, []);
    return photo;
  };

  const openInspector = (): WasmInspector => {
    if (!inspector) throw new VmadError("closed", "no package is open");
    return inspector;
  };

  const run = async (request: QueuedRequest): Promise<void> => {
    const { id } = request;
    const emit = (event: InspectEvent | CalibrateEvent): void => {
      post({ kind: "event", id, event }, event.kind === "mask" ? [event.map.buffer] : []);
    };
    switch (request.kind) {
      case "open": {
        const engine = await loadEngine();
        await engine.default();
        const { WasmInspector } = engine;
        inspector = await WasmInspector.open(request.packageUrl, request.device, emit);
        post({ kind: "opened", id, device: inspector.device() }, []);
        isWarm = false;
        return;
      }
      case "inspect":
        return openInspector().inspect(request.image, request.query, emit);
      case "ask":
        return openInspector().ask(request.question, request.generation, emit);
      case "calibrate":
        return openInspector().calibrate(() => requestPhoto(id), request.options, emit);
      case "report":
        post({ kind: "reported", id, report: openInspector().report() }, []);
        return;
      default:
        request satisfies never;
    }
  };

  const startWarmUp = (): void => {
    if (!inspector || isWarm) return;
    let isCancelled = false;
    cancelWarmUp = () => {
      isCancelled = true;
      inspector?.cancel();
    };
    // An error is dropped: the next inspection meets the same one and reports it.
    warmUpRun = inspector
      .warmUp()
      .catch(() => undefined)
      .then(() => {
        isWarm = !isCancelled;
      });
  };

  const endWarmUp = async (): Promise<void> => {
    if (!warmUpRun) return;
    cancelWarmUp();
    await warmUpRun;
    warmUpRun = undefined;
  };

  const replyCancelled = (id: number): void => {
    post({ kind: "event", id, event: { kind: "done", reason: "cancelled" } }, []);
    post({ kind: "finished", id }, []);
  };

  const start = async (request: QueuedRequest): Promise<void> => {
    const { id } = request;
    lastStartedId = id;
    if (cancelledIds.delete(id)) {
      replyCancelled(id);
      return;
    }
    runningId = id;
    try {
      await endWarmUp();
      if (cancelledIds.delete(id)) {
        replyCancelled(id);
        return;
      }
      await run(request);
      post({ kind: "finished", id }, []);
      if (request.kind === "open" || request.kind === "report") startWarmUp();
      else isWarm = true;
    } catch (thrown) {
      const { code, message } = toVmadError(thrown);
      post({ kind: "failed", id, code, message }, []);
    } finally {
      runningId = deliverPhoto = undefined;
    }
  };

  const cancel = (id: number): void => {
    if (id !== runningId) {
      if (id > lastStartedId) cancelledIds.add(id);
      return;
    }
    // While the request waits for the end of the warm-up, the engine runs nothing of its own yet.
    if (warmUpRun) cancelledIds.add(id);
    inspector?.cancel();
    // A calibration may wait for a photograph that will not arrive any more.
    deliverPhoto?.(null);
  };

  return (request) => {
    switch (request.kind) {
      case "cancel":
        cancel(request.id);
        return;
      case "photo":
        if (request.id === runningId) deliverPhoto?.(request.photo);
        return;
      case "open":
      case "inspect":
      case "ask":
      case "calibrate":
      case "report":
        queue = queue.then(() => start(request));
        return;
      default:
        request satisfies never;
    }
  };
}
