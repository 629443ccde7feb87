import { toVmadError, VmadError, type Inspector } from "../lib/public/index.js";
import { ModelPanel } from "./model.js";
import { Notice } from "./notice.js";
import { showMemory } from "./results.js";

/** The kind of call that is running. */
export type Activity = "idle" | "inspecting" | "asking" | "calibrating";

/** The open model and the call that runs on it. One call runs at a time. */
export class Session {
  /** Called when a call begins or ends. */
  onActivity: (activity: Activity) => void = () => undefined;

  readonly model = new ModelPanel();
  readonly notice = new Notice();

  #opening = new AbortController();
  /** Rejects if loading fails; {@link open} shows that error. */
  #inspector: Promise<Inspector> | undefined;
  #call = new AbortController();

  /** False if loading failed, until the model is opened again. */
  get isOpen(): boolean {
    return this.#inspector !== undefined;
  }

  /** Opens the chosen model and closes the one before it. */
  open(): void {
    this.#opening.abort();
    this.cancel();
    this.notice.hide();
    void this.#inspector?.then(
      (previous) => {
        previous.close();
      },
      () => undefined,
    );
    const opening = (this.#opening = new AbortController());
    this.#inspector = this.model.open(opening.signal);
    this.#inspector.catch((thrown: unknown) => {
      if (opening.signal.aborted) return;
      this.#inspector = undefined;
      this.notice.show(toVmadError(thrown));
    });
    this.onActivity("idle");
  }

  /** Begins a call and cancels the one before it. */
  begin(activity: Activity): AbortController {
    this.cancel();
    this.notice.hide();
    const call = (this.#call = new AbortController());
    this.onActivity(activity);
    return call;
  }

  /** Ends a call; no effect if another one has begun since. */
  end(call: AbortController): void {
    if (this.isCurrent(call)) this.onActivity("idle");
  }

  /** Cancels the running call. */
  cancel(): void {
    this.#call.abort();
  }

  /** False once another call has begun. */
  isCurrent(call: AbortController): boolean {
    return this.#call === call;
  }

  /**
   * Waits for the model, starts a call on it and yields its events while the call is the current
   * one. Shows device and memory use at the end.
   */
  async *events<E>(
    call: AbortController,
    start: (inspector: Inspector) => AsyncIterable<E>,
  ): AsyncGenerator<E, void, undefined> {
    const inspector = await this.#ready(call.signal);
    for await (const event of start(inspector)) {
      if (this.isCurrent(call)) yield event;
    }
    if (!this.isCurrent(call)) return;
    this.model.showDevice(inspector.device);
    showMemory(await inspector.report());
  }

  /** The inspector once it is open; rejects with `cancelled` if the signal fires first. */
  async #ready(signal: AbortSignal): Promise<Inspector> {
    if (!this.#inspector) this.open();
    const opening = this.#inspector;
    if (!opening) throw new VmadError("closed", "no model is loaded");
    return Promise.race([
      opening,
      new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => {
          reject(new VmadError("cancelled", "stopped while the model was loading"));
        });
      }),
    ]);
  }
}
