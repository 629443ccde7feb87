import {
  toVmadError,
  VmadError,
  type InspectEvent,
  type Query,
  type ResultEvent,
} from "../../lib/public/index.js";
import { Chat } from "../chat.js";
import { Picture } from "../picture.js";
import { decodePreview } from "../preview.js";
import { QueryForm } from "../query.js";
import { clearResults, showRegions, showTimings } from "../results.js";
import type { Activity, Session } from "../session.js";
import type { Photo } from "../sources.js";
import {
  describeBasis,
  normalizeName,
  type SavedThreshold,
  type Thresholds,
  type ThresholdStore,
} from "../thresholds.js";
import { type UserThreshold, Verdict, verdictText } from "../verdict.js";

/** A result together with the query that it answers. */
export interface Inspected {
  result: ResultEvent;
  query: Query;
}

/** Inspects the photograph on the page, answers questions about it, and shows the results. */
export class InspectionController {
  readonly chat = new Chat();
  readonly form = new QueryForm();
  readonly picture = new Picture();
  readonly verdict = new Verdict();

  readonly #session: Session;
  readonly #thresholds: ThresholdStore;
  #photo: Photo | undefined;
  #inspected: Inspected | undefined;
  /** The verdict that the generated answer explains. */
  #explainedVerdict: boolean | undefined;

  constructor(session: Session, thresholds: ThresholdStore) {
    this.#session = session;
    this.#thresholds = thresholds;
    this.form.onSubmit = () => {
      void this.inspect();
    };
    this.chat.onAsk = (question) => {
      void this.#ask(question);
    };
    this.chat.onStop = this.verdict.onStop = () => {
      session.cancel();
    };
    this.picture.onThreshold = () => {
      this.#showRegions();
    };
    this.verdict.onThreshold = () => {
      this.#describePicture();
      this.#compareAnswer();
    };
  }

  /** The photograph on the page. */
  get photo(): Photo | undefined {
    return this.#photo;
  }

  /** The result on the page, at the thresholds that it was judged by. */
  get inspected(): Inspected | undefined {
    return this.#inspected;
  }

  /** Enables the controls that may be used during an activity. */
  enable(activity: Activity): void {
    const isIdle = activity === "idle";
    const canInspect = isIdle && this.#photo !== undefined;
    this.form.enable(canInspect, this.#photo ? "" : "Choose a photograph first.");
    // The progress bar of an inspection has the stop button until the answer begins to stream.
    this.chat.enable(isIdle && this.#inspected !== undefined, activity === "asking");
    if (activity !== "inspecting") this.verdict.showProgress(undefined);
  }

  /** Shows a photograph and inspects it. */
  async setPhoto(photo: Photo): Promise<void> {
    const previous = this.#photo;
    this.#session.cancel();
    this.#session.notice.hide();
    this.#photo = photo;
    this.form.fill(photo, previous);
    this.#clearResult();
    const bitmap = await decodePreview(photo.blob).catch((thrown: unknown) => toVmadError(thrown));
    if (this.#photo !== photo) return;
    if (bitmap instanceof VmadError) {
      this.#refusePhoto(bitmap);
      return;
    }
    this.picture.setPhoto(bitmap);
    bitmap?.close();
    await this.inspect(bitmap !== undefined);
  }

  /** Inspects the photograph on the page. `isShown` is false if the browser cannot decode it. */
  async inspect(isShown = true): Promise<void> {
    const photo = this.#photo;
    if (!photo) return;
    const call = this.#session.begin("inspecting");
    const query = this.#withThresholds(this.form.read());
    this.#clearResult();
    this.verdict.clear("Inspecting…", "The verdict comes as soon as the score is known.");
    this.verdict.showProgress({
      kind: "progress",
      stage: "Waiting for the model",
      done: 0,
      total: 0,
    });
    if (query.ask !== "none") this.chat.beginTurn(this.form.question);
    try {
      const events = this.#session.events(call, (inspector) =>
        inspector.inspect(photo.blob, query, call),
      );
      for await (const event of events) this.#handleInspection(event, query);
    } catch (thrown) {
      if (this.#session.isCurrent(call)) {
        const error = toVmadError(thrown);
        this.chat.removeTurn();
        if (isAboutPhoto(error) && !isShown) this.#refusePhoto(error);
        else this.#showFailure(error);
      }
    }
    this.#session.end(call);
  }

  #handleInspection(event: InspectEvent, query: Query): void {
    switch (event.kind) {
      case "progress":
        this.verdict.showProgress(event);
        break;
      case "token":
        this.verdict.showProgress(undefined);
        this.chat.enable(false, true);
        this.chat.append(event.text);
        break;
      case "mask":
        this.picture.setMap(event);
        break;
      case "result":
        this.#explainedVerdict = event.anomalous;
        this.#showResult(event, query);
        break;
      case "done":
        this.chat.endTurn(event.reason);
        if (!this.#inspected) {
          this.verdict.clear("Stopped", "Press Inspect to start again.");
        }
        break;
      default:
        event satisfies never;
    }
  }

  async #ask(question: string): Promise<void> {
    const call = this.#session.begin("asking");
    this.chat.beginTurn(question);
    try {
      const events = this.#session.events(call, (inspector) => inspector.ask(question, call));
      for await (const event of events) this.#handleAnswer(event);
    } catch (thrown) {
      if (this.#session.isCurrent(call)) {
        this.chat.removeTurn();
        this.chat.restoreQuestion(question);
        this.#session.notice.show(toVmadError(thrown));
      }
    }
    this.#session.end(call);
  }

  #handleAnswer(event: InspectEvent): void {
    switch (event.kind) {
      case "progress":
        // The stop button of the answer stays; there is no progress bar.
        break;
      case "token":
        this.chat.append(event.text);
        break;
      case "mask":
        // An answer may add to the mask.
        this.picture.setMap(event);
        break;
      case "result":
        this.#explainedVerdict = event.anomalous;
        this.#showResult(event, this.#inspected?.query ?? {});
        break;
      case "done":
        this.chat.endTurn(event.reason);
        break;
      default:
        event satisfies never;
    }
  }

  /** Applies other thresholds to the result on the page, if it is a result of this object. */
  applyThresholds(object: string, { image, pixel }: Thresholds): void {
    if (!this.#inspected) return;
    const { result } = this.#inspected;
    const query = { ...this.#inspected.query };
    if (normalizeName(query.object ?? "") !== normalizeName(object)) return;
    delete query.threshold;
    delete query.mapThreshold;
    const anomalous = result.score >= image;
    this.#showResult(
      { ...result, threshold: image, mapThreshold: pixel, anomalous },
      this.#withThresholds(query),
    );
  }

  /** A query with the saved thresholds of its object, if there are any. */
  #withThresholds(query: Query): Query {
    const saved = this.#savedFor(query);
    return saved ? { ...query, threshold: saved.image, mapThreshold: saved.pixel } : query;
  }

  #savedFor({ object = "" }: Query): SavedThreshold | undefined {
    return this.#thresholds.find(this.#session.model.key, object);
  }

  #showResult(result: ResultEvent, query: Query): void {
    this.#inspected = { result, query };
    const userThreshold = this.#userThreshold(query);
    this.verdict.show(result, userThreshold);
    this.picture.setResultThreshold(result.mapThreshold, userThreshold === undefined);
    showTimings(result.timings);
  }

  /** The basis of a query's threshold, if it is not the threshold of the model. */
  #userThreshold(query: Query): UserThreshold | undefined {
    const saved = query.threshold === undefined ? undefined : this.#savedFor(query);
    if (!saved) return undefined;
    return {
      basis: describeBasis(saved),
      modelThreshold: saved.own.image,
      isOtherDescription: saved.normal !== (query.normal ?? ""),
    };
  }

  /** Says so if the answer explains another verdict than the one at the current threshold. */
  #compareAnswer(): void {
    const explained = this.#explainedVerdict;
    const differs = explained !== undefined && explained !== this.verdict.anomalous;
    this.chat.showExplainedVerdict(differs ? verdictText(!this.verdict.anomalous) : undefined);
  }

  #showRegions(): void {
    const { map } = this.picture;
    if (!map) return;
    showRegions(this.picture.regions(), map.width * map.height, (region) => {
      this.picture.highlight(region);
    });
    this.#describePicture();
  }

  #describePicture(): void {
    if (!this.#inspected) return;
    const count = this.picture.regions().length;
    const verdict = this.verdict.anomalous ? "not OK" : "OK";
    const regions = count === 1 ? "1 marked region" : `${count} marked regions`;
    this.picture.describe(`The photograph: ${verdict}, ${regions}`);
  }

  #clearResult(): void {
    this.#inspected = undefined;
    this.picture.clearMap();
    this.chat.clear();
    clearResults();
  }

  #showFailure(error: VmadError): void {
    if (error.code === "cancelled") {
      this.verdict.clear("Stopped", "Press Inspect to start again.");
      return;
    }
    this.verdict.clear("No verdict", "The inspection did not finish.");
    // The session has already shown the error of a model that failed to load.
    if (this.#session.isOpen) this.#session.notice.show(error);
  }

  /** Shows the error and resets the page to the state without a photograph. */
  #refusePhoto(error: VmadError): void {
    this.#photo = undefined;
    this.picture.clear();
    this.verdict.clear("No verdict yet", "Choose a photograph to inspect.");
    this.#session.notice.show(error);
    this.#session.onActivity("idle");
  }
}

function isAboutPhoto({ code }: VmadError): boolean {
  return code === "not-an-image" || code === "image-damaged" || code === "image-too-large";
}
