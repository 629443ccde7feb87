import {
  Inspector,
  type DeviceChoice,
  type DeviceInfo,
  type ProgressEvent,
} from "../lib/public/index.js";
import { byId, make } from "./dom.js";
import { formatBytes, formatStage } from "./format.js";
import type { ModelKey } from "./thresholds.js";

const MODELS_FOLDER = "models/";
const DEFAULT_MODEL = "tiny";

interface ModelEntry {
  id: string;
  name: string;
  bytes: number;
  fingerprint: string;
}

const REASONS: Record<DeviceInfo["reason"], string> = {
  requested: "as you chose",
  "hardware-gpu": "a GPU was found",
  "no-gpu": "no GPU was found",
  "software-gpu": "only a software GPU was found, and the CPU is faster",
  "gpu-failed": "the GPU failed its test",
};

/** The choice of model and device, the device in use, and the progress of loading. */
export class ModelPanel {
  /** Called when the user has chosen another model or device. */
  onChange: () => void = () => undefined;

  readonly #model = byId("model", HTMLSelectElement);
  readonly #device = byId("device", HTMLSelectElement);
  readonly #line = byId("device-line", HTMLElement);
  readonly #loading = byId("loading", HTMLElement);
  readonly #bar = byId("loading-bar", HTMLProgressElement);
  readonly #text = byId("loading-text", HTMLElement);
  readonly #fingerprints = new Map<string, string>();

  constructor() {
    for (const select of [this.#model, this.#device]) {
      select.addEventListener("change", () => {
        this.onChange();
      });
    }
  }

  /** Name of the folder of the chosen model. */
  get modelId(): string {
    return this.#model.value || DEFAULT_MODEL;
  }

  /** Identifies the chosen model and its version. */
  get key(): ModelKey {
    return { id: this.modelId, fingerprint: this.#fingerprints.get(this.modelId) ?? "" };
  }

  /** Sets the device selector without a change event. */
  chooseDevice(choice: DeviceChoice): void {
    this.#device.value = choice;
  }

  /** Reads the list of models; without a list, the default model is the only one. */
  async listModels(): Promise<void> {
    const response = await fetch(`${MODELS_FOLDER}index.json`).catch(() => undefined);
    const served = response?.ok ? ((await response.json()) as { models: ModelEntry[] }).models : [];
    const models =
      served.length > 0
        ? served
        : [{ id: DEFAULT_MODEL, name: DEFAULT_MODEL, bytes: 0, fingerprint: "" }];
    for (const { id, fingerprint } of models) this.#fingerprints.set(id, fingerprint);
    this.#model.replaceChildren(
      ...models.map(({ id, name, bytes }) => {
        const option = make("option", bytes > 0 ? `${name} (${formatBytes(bytes)})` : name);
        option.value = id;
        return option;
      }),
    );
    const requested = new URLSearchParams(location.search).get("model");
    if (models.some(({ id }) => id === requested)) this.#model.value = requested ?? DEFAULT_MODEL;
    byId("model-field", HTMLElement).hidden = models.length < 2;
  }

  /** Opens the chosen model on the chosen device. */
  async open(signal: AbortSignal): Promise<Inspector> {
    this.#line.textContent = "Loading the model…";
    this.#loading.hidden = false;
    this.#bar.removeAttribute("value");
    this.#text.textContent = "Starting the engine…";
    try {
      const inspector = await Inspector.open({
        packageUrl: `${MODELS_FOLDER}${encodeURIComponent(this.modelId)}/`,
        device: this.#choice(),
        signal,
        onProgress: (event) => {
          this.#progress(event);
        },
      });
      this.showDevice(inspector.device);
      return inspector;
    } catch (error) {
      if (!signal.aborted) this.#line.textContent = "No model is loaded.";
      throw error;
    } finally {
      if (!signal.aborted) this.#loading.hidden = true;
    }
  }

  /** Shows the device in use and the reason for its choice. */
  showDevice({ kind, name, reason, adapter }: DeviceInfo): void {
    this.#loading.hidden = true;
    const device = kind === "gpu" ? "GPU" : "CPU";
    const full = name.toUpperCase().includes(device) ? name : `${device}: ${name}`;
    this.#line.textContent = `Ready on ${full} – ${REASONS[reason]}.`;
    this.#line.title = adapter ? `WebGPU adapter: ${adapter}` : "";
    this.#line.dataset["device"] = kind;
  }

  #choice(): DeviceChoice {
    const { value } = this.#device;
    return value === "cpu" || value === "gpu" ? value : "auto";
  }

  #progress({ stage, done, total }: ProgressEvent): void {
    this.#loading.hidden = false;
    // The other stages are too short for a number to be readable.
    if (stage === "tokenizer" || stage === "weights") {
      this.#bar.max = total;
      this.#bar.value = done;
      this.#text.textContent = `${formatStage(stage)}: ${formatBytes(done)} of ${formatBytes(total)}`;
    } else {
      this.#bar.removeAttribute("value");
      this.#text.textContent = `${formatStage(stage)}…`;
    }
  }
}
