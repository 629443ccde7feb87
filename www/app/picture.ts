import type { MaskEvent, Region } from "../lib/index.js";
import { byId } from "./dom.js";
import { colour, heatPixels, maskPixels, outlinePixels, resample, type Field } from "./heat.js";
import { findRegions } from "./regions.js";

/** Long side of the canvas: sharp on common screens, and redrawn within a frame. */
const MAX_SIDE = 1280;
const MIN_SIDE = 640;
/** As in the engine's own overlays: one four-hundredth of the long side. */
const LINE_SHARE = 1 / 400;

/** The photograph with heat map and outline over it, and the controls that change how it looks. */
export class Picture {
  /** Called when the mask threshold moved. */
  onThreshold: () => void = () => undefined;

  readonly #stage = byId("stage", HTMLElement);
  readonly #note = byId("stage-note", HTMLElement);
  readonly #canvas = byId("canvas", HTMLCanvasElement);
  readonly #view = byId("view", HTMLElement);
  readonly #showPhoto = byId("show-photo", HTMLInputElement);
  readonly #showHeat = byId("show-heat", HTMLInputElement);
  readonly #showMask = byId("show-mask", HTMLInputElement);
  readonly #opacity = byId("opacity", HTMLInputElement);
  readonly #opacityValue = byId("opacity-value", HTMLOutputElement);
  readonly #threshold = byId("map-threshold", HTMLInputElement);
  readonly #thresholdValue = byId("map-threshold-value", HTMLOutputElement);
  readonly #thresholdReset = byId("map-threshold-reset", HTMLButtonElement);

  /** The photograph at the size of the canvas; undefined if the browser cannot show its format. */
  #photo: HTMLCanvasElement | undefined;
  #map: Field | undefined;
  /** The map at the size of the canvas. */
  #shown: Field | undefined;
  #heat: HTMLCanvasElement | undefined;
  #outline: HTMLCanvasElement | undefined;
  #restThreshold = 0.5;
  #marked: Region | undefined;
  #isScheduled = false;

  constructor() {
    for (const box of [this.#showPhoto, this.#showHeat, this.#showMask]) {
      box.addEventListener("change", () => {
        this.#redraw();
      });
    }
    this.#opacity.addEventListener("input", () => {
      this.#redraw();
    });
    this.#threshold.addEventListener("input", () => {
      this.#thresholdMoved();
    });
    this.#thresholdReset.addEventListener("click", () => {
      this.#threshold.valueAsNumber = this.#restThreshold;
      this.#thresholdMoved();
      this.#threshold.focus();
    });
    paintLegend();
  }

  /** Map value above which a pixel belongs to the mask, as the slider stands. */
  get threshold(): number {
    // The slider rounds to its steps; where it stands for the result's threshold, that one counts.
    return this.#isAtRest() ? this.#restThreshold : this.#threshold.valueAsNumber;
  }

  /** Size of the map and so of the photograph, once there is one. */
  get map(): Field | undefined {
    return this.#map;
  }

  /** Takes everything away. */
  clear(): void {
    this.clearMap();
    this.#photo = undefined;
    this.#stage.dataset["state"] = "empty";
    this.#note.hidden = true;
    this.describe("No photograph yet");
  }

  /** Takes the map away and leaves the photograph. */
  clearMap(): void {
    this.#map = this.#shown = this.#heat = this.#outline = this.#marked = undefined;
    this.#view.hidden = true;
    this.#threshold.valueAsNumber = this.#restThreshold;
    this.#redraw();
  }

  /** Shows a photograph, or says that the browser cannot. */
  setPhoto(bitmap: ImageBitmap | undefined): void {
    this.clearMap();
    this.#photo = undefined;
    this.#stage.dataset["state"] = "shown";
    this.#note.hidden = bitmap !== undefined;
    this.#note.textContent =
      "This browser cannot show this image format. It is inspected all the same.";
    if (bitmap) {
      this.#sizeCanvas(bitmap.width, bitmap.height);
      this.#photo = newCanvas(this.#canvas.width, this.#canvas.height);
      const context = context2d(this.#photo);
      context.imageSmoothingQuality = "high";
      context.drawImage(bitmap, 0, 0, this.#photo.width, this.#photo.height);
    } else {
      this.#sizeCanvas(MIN_SIDE, MIN_SIDE / 2);
    }
    this.describe("The photograph, not inspected yet");
    this.#redraw();
  }

  /** Lays a map over the photograph. */
  setMap({ width, height, map }: MaskEvent): void {
    this.#map = { width, height, values: map };
    if (!this.#photo) this.#sizeCanvas(width, height);
    this.#shown = resample(this.#map, this.#canvas.width, this.#canvas.height);
    this.#heat = canvasOf(this.#shown, heatPixels(this.#shown, true));
    this.#view.hidden = false;
    this.#thresholdMoved();
  }

  /**
   * Takes over the result's threshold, the model's own or one from the user's parts, and moves the
   * slider there unless the user moved it.
   */
  setRestThreshold(threshold: number, isModels: boolean): void {
    const isMoved = !this.#isAtRest();
    this.#restThreshold = threshold;
    this.#thresholdReset.textContent = isModels
      ? "Back to the model’s"
      : "Back to the one from your parts";
    if (!isMoved) this.#threshold.valueAsNumber = threshold;
    this.#thresholdMoved();
  }

  /** What the picture shows, for those who cannot see it. */
  describe(text: string): void {
    this.#canvas.ariaLabel = text;
  }

  /** Draws a box around a region, or takes it away. */
  mark(region: Region | undefined): void {
    this.#marked = region;
    this.#redraw();
  }

  /** The regions above the slider's threshold, in pixels of the photograph. */
  regions(): Region[] {
    if (!this.#map || !this.#shown) return [];
    // A photograph smaller than the canvas is searched at its own size, a larger one as shown.
    const field = this.#map.width <= this.#shown.width ? this.#map : this.#shown;
    const { width, height } = this.#map;
    return findRegions(field, this.threshold, width / field.width, height / field.height);
  }

  /** The mask at the photograph's size. */
  async maskPng(): Promise<Blob | undefined> {
    if (!this.#map) return undefined;
    return pngOf(canvasOf(this.#map, maskPixels(this.#map, this.threshold)));
  }

  /** The heat map at the photograph's size. */
  async heatPng(): Promise<Blob | undefined> {
    if (!this.#map) return undefined;
    return pngOf(canvasOf(this.#map, heatPixels(this.#map, false)));
  }

  /** What is on the canvas. */
  async shownPng(): Promise<Blob | undefined> {
    this.#draw();
    return pngOf(this.#canvas);
  }

  #thresholdMoved(): void {
    this.#outline = undefined;
    this.#thresholdValue.value = this.threshold.toFixed(3);
    this.#thresholdReset.hidden = this.#isAtRest();
    this.#redraw();
    this.onThreshold();
  }

  #isAtRest(): boolean {
    const distance = Math.abs(this.#threshold.valueAsNumber - this.#restThreshold);
    return distance < Number(this.#threshold.step);
  }

  #sizeCanvas(width: number, height: number): void {
    const long = Math.max(width, height);
    const scale = Math.min(Math.max(long, MIN_SIDE), MAX_SIDE) / long;
    this.#canvas.width = Math.max(1, Math.round(width * scale));
    this.#canvas.height = Math.max(1, Math.round(height * scale));
  }

  /** Draws before the next frame, however many changes there are until then. */
  #redraw(): void {
    this.#opacityValue.value = `${this.#opacity.value} %`;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#draw();
    });
  }

  #draw(): void {
    const { width, height } = this.#canvas;
    const context = context2d(this.#canvas);
    context.clearRect(0, 0, width, height);
    if (this.#photo && this.#showPhoto.checked) context.drawImage(this.#photo, 0, 0);
    if (!this.#shown) return;
    if (this.#heat && this.#showHeat.checked) {
      context.globalAlpha = this.#opacity.valueAsNumber / 100;
      context.drawImage(this.#heat, 0, 0);
      context.globalAlpha = 1;
    }
    const line = Math.max(2, Math.round(Math.max(width, height) * LINE_SHARE));
    if (this.#showMask.checked) {
      this.#outline ??= canvasOf(this.#shown, outlinePixels(this.#shown, this.threshold, line));
      context.drawImage(this.#outline, 0, 0);
    }
    this.#drawMarked(context, line);
  }

  #drawMarked(context: CanvasRenderingContext2D, line: number): void {
    if (!this.#marked || !this.#map) return;
    const scale = this.#canvas.width / this.#map.width;
    const { x, y, width, height } = this.#marked;
    const box = [x * scale, y * scale, width * scale, height * scale] as const;
    for (const [style, share] of [
      ["#000000", 2],
      ["#ffffff", 1],
    ] as const) {
      context.strokeStyle = style;
      context.lineWidth = line * share;
      context.strokeRect(...box);
    }
  }
}

function paintLegend(): void {
  const canvas = byId("legend", HTMLCanvasElement);
  const context = context2d(canvas);
  for (let x = 0; x < canvas.width; x++) {
    const [r, g, b] = colour(x / (canvas.width - 1));
    context.fillStyle = `rgb(${r} ${g} ${b})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}

function newCanvas(width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

function canvasOf(
  { width, height }: Field,
  pixels: Uint8ClampedArray<ArrayBuffer>,
): HTMLCanvasElement {
  const canvas = newCanvas(width, height);
  context2d(canvas).putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas;
}

function context2d(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser has no 2D canvas");
  return context;
}

function pngOf(canvas: HTMLCanvasElement): Promise<Blob | undefined> {
  return new Promise((resolve) => {
    canvas.toBlob((blob) => {
      resolve(blob ?? undefined);
    }, "image/png");
  });
}
