import { toVmadError } from "../../lib/public/index.js";
import { CalibrationCard, type CalibrationOutcome, type Subject } from "../calibration.js";
import type { QueryForm } from "../query.js";
import type { Activity, Session } from "../session.js";
import { describeBasis, type Thresholds, type ThresholdStore } from "../thresholds.js";

/** Finds thresholds from the user's photographs, saves them and lists what is saved. */
export class CalibrationController {
  /** Called with the thresholds that hold for an object from now on. */
  onThresholds: (object: string, thresholds: Thresholds) => void = () => undefined;

  readonly #card = new CalibrationCard();
  readonly #session: Session;
  readonly #store: ThresholdStore;
  readonly #form: QueryForm;

  constructor(session: Session, store: ThresholdStore, form: QueryForm) {
    this.#session = session;
    this.#store = store;
    this.#form = form;
    form.onSubject = () => {
      this.#showSubject();
    };
    this.#card.onStart = () => {
      void this.#calibrate();
    };
    this.#card.onStop = () => {
      session.cancel();
    };
    this.#card.onUse = (outcome) => this.#save(outcome);
    this.#card.onDelete = (saved) => {
      store.remove(saved);
      this.showThresholds();
      this.onThresholds(saved.object, saved.own);
    };
    // Another tab of this page has saved or deleted a threshold.
    addEventListener("storage", () => {
      this.showThresholds();
    });
  }

  /** Enables the controls that may be used during an activity. */
  enable(activity: Activity): void {
    this.#card.enable(activity === "idle", activity === "calibrating");
  }

  /** Lists the saved thresholds of the current model. */
  showThresholds(): void {
    const { key } = this.#session.model;
    this.#card.list(this.#store.list(key.id), key);
    this.#showSubject();
  }

  #showSubject(): void {
    const { subject } = this.#form;
    this.#card.setSubject(subject);
    const saved = this.#store.find(this.#session.model.key, subject.object);
    this.#form.showSaved(saved ? `Judged by the threshold from ${describeBasis(saved)}.` : "");
  }

  async #calibrate(): Promise<void> {
    const call = this.#session.begin("calibrating");
    const { photos, labels, quantile } = this.#card.begin();
    const { subject } = this.#form;
    const options = { ...optionsOf(subject), labels, quantile, signal: call.signal };
    try {
      const events = this.#session.events(call, (inspector) =>
        inspector.calibrate(photos, options),
      );
      for await (const event of events) this.#card.handle(event, subject);
    } catch (thrown) {
      const error = toVmadError(thrown);
      if (this.#session.isCurrent(call) && error.code !== "cancelled") {
        this.#session.notice.show(error);
      }
    }
    this.#session.end(call);
  }

  /** Saves the thresholds; false if they last only until the page is closed. */
  #save({ subject, calibration }: CalibrationOutcome): boolean {
    const { image, pixel, own, nGood, nDefective } = calibration;
    const thresholds = { image: image.threshold, pixel: pixel.threshold };
    const isPersistent = this.#store.save({
      ...subject,
      ...thresholds,
      model: this.#session.model.key,
      own,
      nGood,
      nDefective,
      savedAt: new Date().toISOString(),
    });
    this.showThresholds();
    this.onThresholds(subject.object, thresholds);
    return isPersistent;
  }
}

function optionsOf({ object, normal }: Subject): Partial<Subject> {
  return { ...(object && { object }), ...(normal && { normal }) };
}
