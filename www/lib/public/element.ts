/**
 * `<vmad-inspector package="models/tiny/">`: the user drops or chooses a photograph and gets score,
 * mask and answer. A thin custom element over {@link Inspector}, which has more options.
 *
 * - attributes: `package` (folder of the model package), `device` (`auto`, `cpu`, `gpu`), `object`
 *   and `normal` (what the photograph shows and what a good part looks like), `threshold` and
 *   `map-threshold` (score and map value from which the part or a pixel is anomalous, 0 to 1; the
 *   model's own thresholds if absent). The properties `threshold` and `mapThreshold` reflect the
 *   last two.
 * - events: `vmad-result` with the result as `detail`, once the answer is complete; `vmad-error`
 *   with a `VmadError` as `detail`
 * - CSS parts: `drop`, `canvas`, `verdict`, `answer`
 */
import { toVmadError } from "./errors.js";
import { Inspector } from "./inspector.js";
import type { DeviceChoice, MaskEvent, ResultEvent } from "./types.js";

const STYLE = `
  :host { display: grid; gap: 0.5rem; font: inherit; }
  label { display: grid; gap: 0.5rem; padding: 1rem; border: 2px dashed currentColor; border-radius: 8px; }
  canvas { max-width: 100%; }
  p { margin: 0; white-space: pre-wrap; }
  [part="verdict"] { font-weight: bold; }
`;
const MASK_RGB = [0, 229, 255] as const;
const MASK_ALPHA = 140;

/** The custom element; importing this module defines it. */
export class VmadInspectorElement extends HTMLElement {
  readonly #canvas = document.createElement("canvas");
  readonly #verdict = document.createElement("p");
  readonly #answer = document.createElement("p");
  readonly #file = document.createElement("input");
  #inspector: Promise<Inspector> | undefined;
  #connection = new AbortController();
  #run = new AbortController();
  #mask: MaskEvent | undefined;

  constructor() {
    super();
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    const drop = document.createElement("label");
    drop.part.add("drop");
    this.#file.type = "file";
    this.#file.accept = "image/*";
    drop.append("Drop or choose a photograph", this.#file);
    this.#canvas.part.add("canvas");
    this.#canvas.role = "img";
    this.#canvas.hidden = true;
    this.#verdict.part.add("verdict");
    this.#verdict.role = "status";
    this.#answer.part.add("answer");
    root.append(drop, this.#canvas, this.#verdict, this.#answer);
  }

  /** Adds the listeners. The model is loaded with the first photograph. */
  connectedCallback(): void {
    this.#connection = new AbortController();
    const { signal } = this.#connection;
    this.#file.addEventListener(
      "change",
      () => {
        this.#inspectFile(this.#file.files?.[0]);
      },
      { signal },
    );
    this.addEventListener(
      "dragover",
      (event) => {
        event.preventDefault();
      },
      { signal },
    );
    this.addEventListener(
      "drop",
      (event) => {
        event.preventDefault();
        this.#inspectFile(event.dataTransfer?.files[0]);
      },
      { signal },
    );
  }

  /** Cancels the running call and frees the model. */
  disconnectedCallback(): void {
    this.#connection.abort();
    this.#run.abort();
    void this.#inspector?.then(
      (inspector) => {
        inspector.close();
      },
      () => undefined,
    );
    this.#inspector = undefined;
  }

  /** Score at and above which a part is not OK; `null` for the model's own threshold. */
  get threshold(): number | null {
    return this.#number("threshold");
  }

  set threshold(value: number | null) {
    this.#setNumber("threshold", value);
  }

  /** Map value above which a pixel is marked; `null` for the model's own threshold. */
  get mapThreshold(): number | null {
    return this.#number("map-threshold");
  }

  set mapThreshold(value: number | null) {
    this.#setNumber("map-threshold", value);
  }

  /** Inspects a photograph as if it had been dropped on the element. */
  async inspect(photo: Blob): Promise<void> {
    this.#run.abort();
    const run = (this.#run = new AbortController());
    this.#verdict.textContent = "Inspecting…";
    this.#answer.textContent = "";
    this.#mask = undefined;
    let result: ResultEvent | undefined;
    try {
      await this.#showPhoto(photo);
      const inspector = await (this.#inspector ??= this.#open());
      const object = this.getAttribute("object");
      const normal = this.getAttribute("normal");
      const { threshold, mapThreshold } = this;
      const query = {
        ...(object && { object }),
        ...(normal && { normal }),
        ...(threshold !== null && { threshold }),
        ...(mapThreshold !== null && { mapThreshold }),
        ask: "description",
      } as const;
      for await (const event of inspector.inspect(photo, query, run)) {
        switch (event.kind) {
          case "token":
            this.#answer.append(event.text);
            break;
          case "mask":
            this.#mask = event;
            break;
          case "result":
            result = event;
            await this.#showResult(event, photo);
            break;
          case "progress":
          case "done":
            break;
          default:
            event satisfies never;
        }
      }
      // `result` arrives before the answer and again with it; the page gets one event.
      if (result) this.dispatchEvent(new CustomEvent("vmad-result", { detail: result }));
    } catch (thrown) {
      if (run.signal.aborted) return;
      const error = toVmadError(thrown);
      this.#verdict.textContent = error.message;
      this.dispatchEvent(new CustomEvent("vmad-error", { detail: error }));
    }
  }

  /** The number in an attribute; `null` if it is absent or not a finite number. */
  #number(attribute: string): number | null {
    const text = this.getAttribute(attribute)?.trim();
    const value = text ? Number(text) : NaN;
    return Number.isFinite(value) ? value : null;
  }

  #setNumber(attribute: string, value: number | null): void {
    if (value === null) this.removeAttribute(attribute);
    else this.setAttribute(attribute, String(value));
  }

  #inspectFile(photo: File | undefined): void {
    if (photo) void this.inspect(photo);
  }

  #open(): Promise<Inspector> {
    const device = this.getAttribute("device");
    const opening = Inspector.open({
      packageUrl: this.getAttribute("package") ?? "",
      device: isDevice(device) ? device : "auto",
      signal: this.#connection.signal,
    });
    // After a failure the next photograph opens the model again.
    opening.catch(() => (this.#inspector = undefined));
    return opening;
  }

  async #showPhoto(photo: Blob): Promise<void> {
    const bitmap = await createImageBitmap(photo).catch(() => undefined);
    this.#canvas.hidden = !bitmap;
    if (!bitmap) return;
    this.#canvas.width = bitmap.width;
    this.#canvas.height = bitmap.height;
    this.#canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  async #showResult(result: ResultEvent, photo: Blob): Promise<void> {
    await this.#showPhoto(photo);
    const verdict = result.anomalous ? "Not OK" : "OK";
    this.#verdict.textContent = `${verdict} – anomaly score ${result.score.toFixed(3)}, threshold ${result.threshold.toFixed(3)}`;
    this.#canvas.ariaLabel = `The photograph, ${verdict}`;
    if (this.#mask) await this.#drawMask(this.#mask, result.mapThreshold);
  }

  async #drawMask({ width, height, map }: MaskEvent, threshold: number): Promise<void> {
    const pixels = new ImageData(width, height);
    for (const [index, value] of map.entries()) {
      if (value > threshold) pixels.data.set([...MASK_RGB, MASK_ALPHA], index * 4);
    }
    const mask = await createImageBitmap(pixels);
    const { width: shownWidth, height: shownHeight } = this.#canvas;
    this.#canvas.getContext("2d")?.drawImage(mask, 0, 0, shownWidth, shownHeight);
    mask.close();
  }
}

function isDevice(text: string | null): text is DeviceChoice {
  return text === "auto" || text === "cpu" || text === "gpu";
}

customElements.define("vmad-inspector", VmadInspectorElement);
