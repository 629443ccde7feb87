import type { EngineModule, WasmInspector } from "./engine.js";
import { toVmadError, VmadError } from "./errors.js";
import type { CalibrateEvent, CalibrationPhoto, InspectEvent, Reply, Request } from "./protocol.js";

/** Sends a reply, handing over the buffers listed. */
export type Post = (reply: Reply, transfer: Transferable[]) => void;

/** A request that has its turn; the others speak to one that is running. */
type Turn = Exclude<Request, { kind: "cancel" | "photo" }>;

/**
 * The worker's side of the protocol, free of any worker so that tests can run it: returns the
 * function that takes each request. Requests may come at any time; only `cancel` and `photo` may
 * overlap.
 */
export function serve(loadEngine: () => Promise<EngineModule>, post: Post): (r: Request) => void {
  let inspector: WasmInspector | undefined;
  let runningId: number | undefined;
  let takenId = -1;
  // Ids cancelled before their turn came: the engine must never start them. Ids only ever grow.
  const cancelledIds = new Set<number>();
  let queue = Promise.resolve();
  // Runs between requests until it comes to its end; the next one ends it early.
  let warming: Promise<void> | undefined;
  let isWarm = false;
  let cut = (): void => undefined;
  // Takes the photograph that the running calibration waits for.
  let give: ((photo: CalibrationPhoto | null) => void) | undefined;

  const wanted = (id: number): Promise<CalibrationPhoto | null> => {
    const photo = new Promise<CalibrationPhoto | null>((resolve) => {
      give = resolve;
    });
    post({ kind: "wanted", id }, []);
    return photo;
  };

  const opened = (): WasmInspector => {
    if (!inspector) throw new VmadError("closed", "no package is open");
    return inspector;
  };

  const run = async (request: Turn): Promise<void> => {
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
        return opened().inspect(request.image, request.query, emit);
      case "ask":
        return opened().ask(request.question, request.generation, emit);
      case "calibrate":
        return opened().calibrate(() => wanted(id), request.options, emit);
      case "report":
        post({ kind: "reported", id, report: opened().report() }, []);
        return;
      default:
        request satisfies never;
    }
  };

  const warmUp = (): void => {
    if (!inspector || isWarm) return;
    let isCut = false;
    cut = () => {
      isCut = true;
      inspector?.cancel();
    };
    // Whatever goes wrong goes wrong again where somebody waits for it.
    warming = inspector
      .warmUp()
      .catch(() => undefined)
      .then(() => {
        isWarm = !isCut;
      });
  };

  const coolDown = async (): Promise<void> => {
    if (!warming) return;
    cut();
    await warming;
    warming = undefined;
  };

  const giveUp = (id: number): void => {
    post({ kind: "event", id, event: { kind: "done", reason: "cancelled" } }, []);
    post({ kind: "finished", id }, []);
  };

  const take = async (request: Turn): Promise<void> => {
    const { id } = request;
    takenId = id;
    if (cancelledIds.delete(id)) {
      giveUp(id);
      return;
    }
    runningId = id;
    try {
      await coolDown();
      if (cancelledIds.delete(id)) {
        giveUp(id);
        return;
      }
      await run(request);
      post({ kind: "finished", id }, []);
      if (request.kind === "open" || request.kind === "report") warmUp();
      else isWarm = true;
    } catch (thrown) {
      const { code, message } = toVmadError(thrown);
      post({ kind: "failed", id, code, message }, []);
    } finally {
      runningId = give = undefined;
    }
  };

  return (request) => {
    if (request.kind === "photo") {
      if (request.id === runningId) give?.(request.photo);
    } else if (request.kind !== "cancel") {
      queue = queue.then(() => take(request));
    } else if (request.id === runningId) {
      // While it waits for the warming up to end there is nothing of its own to cancel yet.
      if (warming) cancelledIds.add(request.id);
      inspector?.cancel();
      // A calibration may wait for a photograph that will not come any more.
      give?.(null);
    } else if (request.id > takenId) {
      cancelledIds.add(request.id);
    }
  };
}
