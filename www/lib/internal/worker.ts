/** The module worker: loads the engine and answers {@link Request}s through {@link serve}. */
import type { EngineModule } from "./engine.js";
import type { Reply, Request } from "./protocol.js";
import { serve } from "./serve.js";

/** The part of a worker's global scope that is used; the DOM types describe a page instead. */
interface WorkerScope {
  addEventListener(type: "error", listener: (event: ErrorEvent) => void): void;
  addEventListener(
    type: "unhandledrejection",
    listener: (event: PromiseRejectionEvent) => void,
  ): void;
  onmessage: ((message: MessageEvent<Request>) => void) | null;
  postMessage(reply: Reply, transfer: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;

const handle = serve(
  // Imported on demand, so that a missing or blocked file leads to a `failed` reply.
  async () => {
    const module: unknown = await import("../wasm/vmad_web.js");
    return module as EngineModule;
  },
  (reply, transfer) => {
    scope.postMessage(reply, transfer);
  },
);

// After a panic in wasm the promise of the running call never settles; only these events report it.
scope.addEventListener("error", ({ message }) => {
  scope.postMessage({ kind: "crashed", message }, []);
});
scope.addEventListener("unhandledrejection", ({ reason }) => {
  scope.postMessage({ kind: "crashed", message: String(reason) }, []);
});

scope.onmessage = ({ data }) => {
  handle(data);
};
