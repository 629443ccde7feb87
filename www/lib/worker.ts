/** The module worker: loads the engine and answers {@link Request}s. Holds no logic of its own. */
import type { EngineModule } from "./engine.js";
import type { Reply, Request } from "./protocol.js";
import { serve } from "./serve.js";

/** The part of a worker's global scope that is used; the DOM types describe a page instead. */
interface WorkerScope {
  addEventListener(type: "error", take: (event: ErrorEvent) => void): void;
  addEventListener(type: "unhandledrejection", take: (event: PromiseRejectionEvent) => void): void;
  onmessage: ((message: MessageEvent<Request>) => void) | null;
  postMessage(reply: Reply, transfer: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;

const take = serve(
  // Loaded on demand, so that a missing or blocked file is a `failed` reply and not a silent death.
  async () => {
    const module: unknown = await import("./wasm/vmad_web.js");
    return module as EngineModule;
  },
  (reply, transfer) => {
    scope.postMessage(reply, transfer);
  },
);

// A panic in wasm leaves the promise of the running call open for ever and shows itself only here.
scope.addEventListener("error", ({ message }) => {
  scope.postMessage({ kind: "crashed", message }, []);
});
scope.addEventListener("unhandledrejection", ({ reason }) => {
  scope.postMessage({ kind: "crashed", message: String(reason) }, []);
});

scope.onmessage = ({ data }) => {
  take(data);
};
