import {
  toVmadError,
  VmadError,
  type Inspector,
  type Query,
  type ResultEvent,
} from "../lib/index.js";
import { CalibrationCard, type Found } from "./calibration.js";
import { Chat } from "./chat.js";
import { byId, save } from "./dom.js";
import { arrangeCards } from "./layout.js";
import { ModelPanel } from "./model.js";
import { SAMPLE_MISSING } from "./messages.js";
import { Notice } from "./notice.js";
import { Picture } from "./picture.js";
import { QueryForm } from "./query.js";
import { clearResults, showMemory, showRegions, showTimings } from "./results.js";
import { HEADER_BYTES, MAX_PIXELS, pixelsFromHeader } from "./size.js";
import { listenForPhotos, type Photo } from "./sources.js";
import {
  browserStorage,
  restsOn,
  sameName,
  ThresholdStore,
  type SavedThreshold,
} from "./thresholds.js";
import { type OwnThreshold, Verdict, verdictWord } from "./verdict.js";

type Activity = "idle" | "inspecting" | "asking" | "calibrating";

/** Ties the parts of the page to one inspector. One call runs at a time; a new one stops the old. */
class App {
  readonly #calibration = new CalibrationCard();
  readonly #chat = new Chat();
  readonly #model = new ModelPanel();
  readonly #notice = new Notice();
  readonly #picture = new Picture();
  readonly #query = new QueryForm();
  readonly #thresholds = new ThresholdStore(browserStorage());
  readonly #verdict = new Verdict();

  #opening = new AbortController();
  /** Rejects when loading failed; that was reported then. */
  #inspector: Promise<Inspector> | undefined;
  #run = new AbortController();
  #photo: Photo | undefined;
  #asked: Query = {};
  #result: ResultEvent | undefined;
  /** The verdict that the words explain. */
  #explained: boolean | undefined;

  constructor() {
    this.#model.onChange = () => {
      this.#open();
      this.#showThresholds();
    };
    this.#notice.onAction = (action) => {
      if (action === "inspect") void this.#inspect();
      else {
        if (action === "use-cpu") this.#model.chooseDevice("cpu");
        this.#open();
        if (this.#photo && !this.#result) void this.#inspect();
      }
    };
    this.#query.onSubmit = () => {
      void this.#inspect();
    };
    this.#query.onSubject = () => {
      this.#showSubject();
    };
    this.#listenForThresholds();
    this.#chat.onAsk = (question) => {
      void this.#ask(question);
    };
    this.#chat.onStop = this.#verdict.onStop = () => {
      this.#run.abort();
    };
    this.#picture.onThreshold = () => {
      this.#showFindings();
    };
    this.#verdict.onThreshold = () => {
      this.#describePicture();
      this.#compareWords();
    };
    this.#listenForSaves();
    listenForPhotos(
      (photo) => {
        void this.#take(photo);
      },
      (thrown) => {
        this.#notice.tell(SAMPLE_MISSING, String(thrown));
      },
    );
    this.#become("idle");
  }

  async start(): Promise<void> {
    await this.#model.listModels();
    this.#open();
    this.#showThresholds();
    // A photograph may have been dropped while the list of models was read.
    if (this.#photo) await this.#inspect();
  }

  /** Opens the chosen model and lets go of the one before it. */
  #open(): void {
    this.#opening.abort();
    this.#run.abort();
    this.#notice.hide();
    void this.#inspector?.then(
      (old) => {
        old.close();
      },
      () => undefined,
    );
    const opening = (this.#opening = new AbortController());
    this.#inspector = this.#model.open(opening.signal);
    this.#inspector.catch((thrown: unknown) => {
      if (opening.signal.aborted) return;
      this.#inspector = undefined;
      this.#notice.show(toVmadError(thrown));
    });
    this.#become("idle");
  }

  /** Shows a photograph and inspects it. */
  async #take(photo: Photo): Promise<void> {
    const previous = this.#photo;
    this.#run.abort();
    this.#notice.hide();
    this.#photo = photo;
    this.#query.fill(photo, previous);
    this.#forgetResult();
    const bitmap = await preview(photo.blob).catch((thrown: unknown) => toVmadError(thrown));
    if (this.#photo !== photo) return;
    if (bitmap instanceof VmadError) {
      this.#refusePhoto(bitmap);
      return;
    }
    this.#picture.setPhoto(bitmap);
    bitmap?.close();
    await this.#inspect(bitmap !== undefined);
  }

  async #inspect(isShown = true): Promise<void> {
    const photo = this.#photo;
    if (!photo) return;
    const run = this.#begin("inspecting");
    const query = this.#withThresholds(this.#query.read());
    this.#forgetResult();
    this.#verdict.clear("Inspecting…", "The verdict comes as soon as the score is known.");
    this.#verdict.progress({ kind: "progress", stage: "Waiting for the model", done: 0, total: 0 });
    if (query.ask !== "none") this.#chat.begin(this.#query.question);
    try {
      const inspector = await this.#ready(run.signal);
      for await (const event of inspector.inspect(photo.blob, query, run)) {
        if (this.#run !== run) continue;
        switch (event.kind) {
          case "progress":
            this.#verdict.progress(event);
            break;
          case "token":
            this.#verdict.progress(undefined);
            this.#chat.allow(false, true);
            this.#chat.append(event.text);
            break;
          case "mask":
            this.#picture.setMap(event);
            break;
          case "result":
            this.#explained = event.anomalous;
            this.#showResult(event, query);
            break;
          case "done":
            this.#chat.finish(event.reason);
            if (!this.#result) {
              this.#verdict.clear("Stopped", "Press Inspect to start again.");
            }
            break;
          default:
            event satisfies never;
        }
      }
      if (this.#run === run) await this.#reportTo(inspector);
    } catch (thrown) {
      if (this.#run === run) {
        const error = toVmadError(thrown);
        this.#chat.drop();
        if (isAboutPhoto(error) && !isShown) this.#refusePhoto(error);
        else this.#fail(error);
      }
    }
    this.#end(run);
  }

  async #ask(question: string): Promise<void> {
    const run = this.#begin("asking");
    this.#chat.begin(question);
    try {
      const inspector = await this.#ready(run.signal);
      for await (const event of inspector.ask(question, run)) {
        if (this.#run !== run) continue;
        if (event.kind === "token") this.#chat.append(event.text);
        else if (event.kind === "done") this.#chat.finish(event.reason);
        // An answer may mark more of the photograph.
        else if (event.kind === "mask") this.#picture.setMap(event);
        else if (event.kind === "result") {
          this.#explained = event.anomalous;
          this.#showResult(event, this.#asked);
        }
      }
      if (this.#run === run) await this.#reportTo(inspector);
    } catch (thrown) {
      if (this.#run === run) {
        this.#chat.drop();
        this.#chat.putBack(question);
        this.#notice.show(toVmadError(thrown));
      }
    }
    this.#end(run);
  }

  /** Finds thresholds from the photographs chosen for that. */
  async #calibrate(): Promise<void> {
    const run = this.#begin("calibrating");
    const { photos, labels, quantile } = this.#calibration.begin();
    const { subject } = this.#query;
    const { object, normal } = subject;
    const options = {
      ...(object && { object }),
      ...(normal && { normal }),
      labels,
      quantile,
      signal: run.signal,
    };
    try {
      const inspector = await this.#ready(run.signal);
      for await (const event of inspector.calibrate(photos, options)) {
        if (this.#run === run) this.#calibration.take(event, subject);
      }
      if (this.#run === run) await this.#reportTo(inspector);
    } catch (thrown) {
      const error = toVmadError(thrown);
      if (this.#run === run && error.code !== "cancelled") this.#notice.show(error);
    }
    this.#end(run);
  }

  #listenForThresholds(): void {
    this.#calibration.onStart = () => {
      void this.#calibrate();
    };
    this.#calibration.onStop = () => {
      this.#run.abort();
    };
    this.#calibration.onUse = ({ subject, calibration }: Found) => {
      const { image, pixel, own, nGood, nDefective } = calibration;
      const isKept = this.#thresholds.save({
        ...subject,
        model: this.#model.key,
        image: image.threshold,
        pixel: pixel.threshold,
        own,
        nGood,
        nDefective,
        savedAt: new Date().toISOString(),
      });
      this.#showThresholds();
      this.#judgeAnew(subject.object, { image: image.threshold, pixel: pixel.threshold });
      return isKept;
    };
    this.#calibration.onDelete = (saved) => {
      this.#thresholds.remove(saved);
      this.#showThresholds();
      this.#judgeAnew(saved.object, saved.own);
    };
    // Another tab of this page saved or deleted one.
    addEventListener("storage", () => {
      this.#showThresholds();
    });
  }

  #showThresholds(): void {
    const { key } = this.#model;
    this.#calibration.list(this.#thresholds.list(key.id), key);
    this.#showSubject();
  }

  #showSubject(): void {
    const { subject } = this.#query;
    this.#calibration.setSubject(subject);
    const saved = this.#thresholds.find(this.#model.key, subject.object);
    this.#query.showSaved(saved ? `Judged by the threshold from ${restsOn(saved)}.` : "");
  }

  /** A query with the saved thresholds of its object, if there are any. */
  #withThresholds(query: Query): Query {
    const saved = this.#savedFor(query);
    return saved ? { ...query, threshold: saved.image, mapThreshold: saved.pixel } : query;
  }

  #savedFor({ object = "" }: Query): SavedThreshold | undefined {
    return this.#thresholds.find(this.#model.key, object);
  }

  /** Judges the result on the page by other thresholds, if it is one of this object. */
  #judgeAnew(object: string, { image, pixel }: SavedThreshold["own"]): void {
    const result = this.#result;
    const asked = { ...this.#asked };
    if (!result || sameName(asked.object ?? "") !== sameName(object)) return;
    delete asked.threshold;
    delete asked.mapThreshold;
    const anomalous = result.score >= image;
    this.#showResult(
      { ...result, threshold: image, mapThreshold: pixel, anomalous },
      this.#withThresholds(asked),
    );
  }

  /** The inspector once it is open; gives up waiting when the signal fires. */
  async #ready(signal: AbortSignal): Promise<Inspector> {
    if (!this.#inspector) this.#open();
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

  #begin(activity: Activity): AbortController {
    this.#run.abort();
    this.#notice.hide();
    const run = (this.#run = new AbortController());
    this.#become(activity);
    return run;
  }

  #end(run: AbortController): void {
    if (this.#run === run) this.#become("idle");
  }

  #become(activity: Activity): void {
    const isIdle = activity === "idle";
    const canInspect = isIdle && this.#photo !== undefined;
    this.#query.allow(canInspect, this.#photo ? "" : "Choose a photograph first.");
    // While an inspection runs, its progress bar has the stop button, until words begin to stream.
    this.#chat.allow(isIdle && this.#result !== undefined, activity === "asking");
    if (activity !== "inspecting") this.#verdict.progress(undefined);
    this.#calibration.allow(isIdle, activity === "calibrating");
  }

  #showResult(result: ResultEvent, query: Query): void {
    this.#result = result;
    this.#asked = query;
    const from = this.#ownThreshold(query);
    this.#verdict.show(result, from);
    this.#picture.setRestThreshold(result.mapThreshold, from === undefined);
    showTimings(result.timings);
  }

  /** Where a query's threshold comes from, if it is not the model's. */
  #ownThreshold(query: Query): OwnThreshold | undefined {
    const saved = query.threshold === undefined ? undefined : this.#savedFor(query);
    if (!saved) return undefined;
    return {
      restsOn: restsOn(saved),
      model: saved.own.image,
      isOtherDescription: saved.normal !== (query.normal ?? ""),
    };
  }

  /** The model knew its own verdict when it wrote; the user may have moved the threshold since. */
  #compareWords(): void {
    const isOther = this.#explained !== undefined && this.#explained !== this.#verdict.anomalous;
    this.#chat.explains(isOther ? verdictWord(!this.#verdict.anomalous) : undefined);
  }

  #showFindings(): void {
    const { map } = this.#picture;
    if (!map) return;
    showRegions(this.#picture.regions(), map.width * map.height, (region) => {
      this.#picture.mark(region);
    });
    this.#describePicture();
  }

  #describePicture(): void {
    if (!this.#result) return;
    const count = this.#picture.regions().length;
    const verdict = this.#verdict.anomalous ? "not OK" : "OK";
    const regions = count === 1 ? "1 marked region" : `${count} marked regions`;
    this.#picture.describe(`The photograph: ${verdict}, ${regions}`);
  }

  async #reportTo(inspector: Inspector): Promise<void> {
    this.#model.showDevice(inspector.device);
    showMemory(await inspector.report());
  }

  #forgetResult(): void {
    this.#result = undefined;
    this.#picture.clearMap();
    this.#chat.clear();
    clearResults();
  }

  #fail(error: VmadError): void {
    if (error.code === "cancelled") {
      this.#verdict.clear("Stopped", "Press Inspect to start again.");
      return;
    }
    this.#verdict.clear("No verdict", "The inspection did not finish.");
    // A model that failed to load has said so itself; `undefined` marks that.
    if (this.#inspector) this.#notice.show(error);
  }

  /** A file that is no photograph leaves the page as it was before any. */
  #refusePhoto(error: VmadError): void {
    this.#photo = undefined;
    this.#picture.clear();
    this.#verdict.clear("No verdict yet", "Choose a photograph to inspect.");
    this.#notice.show(error);
    this.#become("idle");
  }

  #listenForSaves(): void {
    const listen = (id: string, ending: string, blob: () => Promise<Blob | undefined>): void => {
      byId(id, HTMLButtonElement).addEventListener("click", () => {
        void blob().then((file) => {
          const stem = (this.#photo?.name ?? "photo").replace(/\.[^.]*$/, "");
          if (file) save(file, `${stem}.${ending}`);
        });
      });
    };
    listen("save-mask", "mask.png", () => this.#picture.maskPng());
    listen("save-heat", "heatmap.png", () => this.#picture.heatPng());
    listen("save-shown", "overlay.png", () => this.#picture.shownPng());
    listen("save-json", "json", () => Promise.resolve(this.#resultJson()));
  }

  /** The result with what the user changed since: thresholds and the conversation. */
  #resultJson(): Blob | undefined {
    const { map } = this.#picture;
    if (!this.#result || !map) return undefined;
    const { score, segProduced, device, timings } = this.#result;
    const result = {
      image: { name: this.#photo?.name, width: map.width, height: map.height },
      model: this.#model.modelId,
      device,
      query: this.#asked,
      score,
      threshold: this.#verdict.threshold,
      anomalous: this.#verdict.anomalous,
      mapThreshold: this.#picture.threshold,
      regions: this.#picture.regions(),
      segProduced,
      conversation: this.#chat.turns,
      timings,
    };
    return new Blob([JSON.stringify(result, null, 2)], { type: "application/json" });
  }
}

/** Decodes for display; undefined where the browser does not know the format. */
async function preview(blob: Blob): Promise<ImageBitmap | undefined> {
  const header = await blob
    .slice(0, HEADER_BYTES)
    .arrayBuffer()
    .catch((thrown: unknown) => {
      throw new VmadError("file-unreadable", String(thrown), { cause: thrown });
    });
  const pixels = pixelsFromHeader(new DataView(header)) ?? 0;
  if (pixels > MAX_PIXELS) {
    throw new VmadError("image-too-large", `the image has ${pixels} pixels`);
  }
  return createImageBitmap(blob).catch(() => undefined);
}

function isAboutPhoto({ code }: VmadError): boolean {
  return code === "not-an-image" || code === "image-damaged" || code === "image-too-large";
}

arrangeCards();
void new App().start();
