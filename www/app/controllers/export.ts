import { byId, save } from "../dom.js";
import type { ModelPanel } from "../model.js";
import type { InspectionController } from "./inspection.js";

/** Saves the result on the page as files: mask, heat map, overlay and JSON. */
export class ExportController {
  readonly #inspection: InspectionController;
  readonly #model: ModelPanel;

  constructor(inspection: InspectionController, model: ModelPanel) {
    this.#inspection = inspection;
    this.#model = model;
    const { picture } = inspection;
    this.#addButton("save-mask", "mask.png", () => picture.maskPng());
    this.#addButton("save-heat", "heatmap.png", () => picture.heatPng());
    this.#addButton("save-shown", "overlay.png", () => picture.overlayPng());
    this.#addButton("save-json", "json", () => Promise.resolve(this.#resultJson()));
  }

  /** The button `id` saves a file named after the photograph; none if there is no result. */
  #addButton(id: string, suffix: string, encode: () => Promise<Blob | undefined>): void {
    byId(id, HTMLButtonElement).addEventListener("click", () => {
      void encode().then((file) => {
        const stem = (this.#inspection.photo?.name ?? "photo").replace(/\.[^.]*$/, "");
        if (file) save(file, `${stem}.${suffix}`);
      });
    });
  }

  /** The result at the thresholds of the sliders, with the whole conversation. */
  #resultJson(): Blob | undefined {
    const { chat, inspected, photo, picture, verdict } = this.#inspection;
    const { map } = picture;
    if (!inspected || !map) return undefined;
    const { score, segProduced, device, timings } = inspected.result;
    const result = {
      image: { name: photo?.name, width: map.width, height: map.height },
      model: this.#model.modelId,
      device,
      query: inspected.query,
      score,
      threshold: verdict.threshold,
      anomalous: verdict.anomalous,
      mapThreshold: picture.threshold,
      regions: picture.regions(),
      segProduced,
      conversation: chat.turns,
      timings,
    };
    return new Blob([JSON.stringify(result, null, 2)], { type: "application/json" });
  }
}
