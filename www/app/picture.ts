import type { MaskEvent, Region } from "../lib/public/index.js";
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

  readonly #area = byId("photo-area", HTMLElement);
  readonly #note = byId("photo-note", HTMLElement);
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
  #canvasMap: Field | undefined;
  #heat: HTMLCanvasElement | undefined;
  #outline: HTMLCanvasElement | undefined;
  #resultThreshold = 0.5;
  #highlighted: Region | undefined;
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
      this.#applyThreshold();
    });
    this.#thresholdReset.addEventListener("click", () => {
      this.#threshold.valueAsNumber = this.#resultThreshold;
      this.#applyThreshold();
      this.#threshold.focus();
    });
    paintLegend();
  }

  /** Map value above which a pixel belongs to the mask: the value of the slider. */
  get threshold(): number {
    // The slider rounds to its steps, so at the result's threshold the exact value is used.
    return this.#isAtResultThreshold() ? this.#resultThreshold : this.#threshold.valueAsNumber;
  }

  /** The anomaly map, at the size of the photograph. */
  get map(): Field | undefined {
    return this.#map;
  }

  /** Removes photograph and map. */
  clear(): void {
    this.clearMap();
    this.#photo = undefined;
    this.#area.dataset["state"] = "empty";
    this.#note.hidden = true;
    this.describe("No photograph yet");
  }

  /** Removes the map and keeps the photograph. */
  clearMap(): void {
    this.#map = this.#canvasMap = this.#heat = this.#outline = this.#highlighted = undefined;
    this.#view.hidden = true;
    this.#threshold.valueAsNumber = this.#resultThreshold;
    this.#redraw();
  }

  /** Shows a photograph; without a bitmap, a note that the browser cannot show it. */
  setPhoto(bitmap: ImageBitmap | undefined): void {
    this.clearMap();
    this.#photo = undefined;
    this.#area.dataset["state"] = "shown";
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

  /** Shows an anomaly map over the photograph. */
  setMap({ width, height, map }: MaskEvent): void {
    this.#map = { width, height, values: map };
    if (!this.#photo) this.#sizeCanvas(width, height);
    this.#canvasMap = resample(this.#map, this.#canvas.width, this.#canvas.height);
    this.#heat = canvasOf(this.#canvasMap, heatPixels(this.#canvasMap, true));
    this.#view.hidden = false;
    this.#applyThreshold();
  }

  /**
   * Sets the threshold of the result, which is the model's (`isModels`) or one from the user's
   * parts. The slider moves there unless the user has moved it.
   */
  setResultThreshold(threshold: number, isModels: boolean): void {
    const isMoved = !this.#isAtResultThreshold();
    this.#resultThreshold = threshold;
    this.#thresholdReset.textContent = isModels
      ? "Back to the model’s"
      : "Back to the one from your parts";
    if (!isMoved) this.#threshold.valueAsNumber = threshold;
    this.#applyThreshold();
  }

  /** Sets the description for screen readers. */
  describe(text: string): void {
    this.#canvas.ariaLabel = text;
  }

  /** Draws a box around a region, or removes the box. */
  highlight(region: Region | undefined): void {
    this.#highlighted = region;
    this.#redraw();
  }

  /** The regions above the threshold of the slider, in pixels of the photograph. */
  regions(): Region[] {
    if (!this.#map || !this.#canvasMap) return [];
    // The smaller grid is searched: the map, or its resampled copy at the size of the canvas.
    const field = this.#map.width <= this.#canvasMap.width ? this.#map : this.#canvasMap;
    const { width, height } = this.#map;
    return findRegions(field, this.threshold, width / field.width, height / field.height);
  }

  /** The mask at the size of the photograph. */
  async maskPng(): Promise<Blob | undefined> {
    if (!this.#map) return undefined;
    return pngOf(canvasOf(this.#map, maskPixels(this.#map, this.threshold)));
  }

  /** The heat map at the size of the photograph. */
  async heatPng(): Promise<Blob | undefined> {
    if (!this.#map) return undefined;
    return pngOf(canvasOf(this.#map, heatPixels(this.#map, false)));
  }

  /** The overlay as shown on the canvas. */
  async overlayPng(): Promise<Blob | undefined> {
    this.#draw();
    return pngOf(this.#canvas);
  }

  #applyThreshold(): void {
    this.#outline = undefined;
    this.#thresholdValue.value = this.threshold.toFixed(3);
    this.#thresholdReset.hidden = this.#isAtResultThreshold();
    this.#redraw();
    this.onThreshold();
  }

  #isAtResultThreshold(): boolean {
    const distance = Math.abs(this.#threshold.valueAsNumber - this.#resultThreshold);
    return distance < Number(this.#threshold.step);
  }

  #sizeCanvas(width: number, height: number): void {
    const long = Math.max(width, height);
    const scale = Math.min(Math.max(long, MIN_SIDE), MAX_SIDE) / long;
    this.#canvas.width = Math.max(1, Math.round(width * scale));
    this.#canvas.height = Math.max(1, Math.round(height * scale));
  }

  /** Draws once before the next frame, after all changes until then. */
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
    if (!this.#canvasMap) return;
    if (this.#heat && this.#showHeat.checked) {
      context.globalAlpha = this.#opacity.valueAsNumber / 100;
      context.drawImage(this.#heat, 0, 0);
      context.globalAlpha = 1;
    }
    const line = Math.max(2, Math.round(Math.max(width, height) * LINE_SHARE));
    if (this.#showMask.checked) {
      this.#outline ??= canvasOf(
        this.#canvasMap,
        outlinePixels(this.#canvasMap, this.threshold, line),
      );
      context.drawImage(this.#outline, 0, 0);
    }
    this.#drawHighlight(context, line);
  }

  #drawHighlight(context: CanvasRenderingContext2D, line: number): void {
    if (!this.#highlighted || !this.#map) return;
    const scale = this.#canvas.width / this.#map.width;
    const { x, y, width, height } = this.#highlighted;
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
