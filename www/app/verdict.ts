import type { ProgressEvent, ResultEvent } from "../lib/public/index.js";
import { byId } from "./dom.js";
import { formatScore, formatStage } from "./format.js";

/** The origin of a threshold that the user calibrated and that replaces the threshold of the model. */
export interface UserThreshold {
  /** The photographs that it comes from, e.g. `24 good parts of “bolt”`. */
  basis: string;
  modelThreshold: number;
  /** True if the description of a good part was another one when the threshold was found. */
  isOtherDescription: boolean;
}

/** The verdict as text. */
export function verdictText(anomalous: boolean): string {
  return anomalous ? "Not OK" : "OK";
}

/** OK or not OK, the score, and the threshold between them. */
export class Verdict {
  /** Called when the threshold moved. */
  onThreshold: () => void = () => undefined;
  /** Called when the user stops the inspection. */
  onStop: () => void = () => undefined;

  readonly #card = byId("verdict", HTMLElement);
  readonly #icon = byId("verdict-icon", SVGUseElement);
  readonly #word = byId("verdict-word", HTMLElement);
  readonly #reason = byId("verdict-reason", HTMLElement);
  readonly #scoreBox = byId("score-box", HTMLElement);
  readonly #score = byId("score", HTMLElement);
  readonly #scale = byId("score-scale", HTMLElement);
  readonly #meter = byId("score-meter", HTMLMeterElement);
  readonly #threshold = byId("threshold", HTMLInputElement);
  readonly #thresholdValue = byId("threshold-value", HTMLOutputElement);
  readonly #own = byId("threshold-own", HTMLElement);
  readonly #reset = byId("threshold-reset", HTMLButtonElement);
  readonly #fallback = byId("fallback-note", HTMLElement);
  readonly #progress = byId("run-progress", HTMLElement);
  readonly #bar = byId("run-bar", HTMLProgressElement);
  readonly #progressText = byId("run-text", HTMLElement);
  #result: ResultEvent | undefined;
  #userThreshold: UserThreshold | undefined;

  constructor() {
    this.#threshold.addEventListener("input", () => {
      this.#decide();
    });
    this.#reset.addEventListener("click", () => {
      if (this.#result) this.#threshold.valueAsNumber = this.#result.threshold;
      this.#decide();
      this.#threshold.focus();
    });
    byId("run-stop", HTMLButtonElement).addEventListener("click", () => {
      this.#progressText.textContent = "Stopping…";
      this.onStop();
    });
  }

  /** Score from which the part is not OK: the value of the slider. */
  get threshold(): number {
    // The slider rounds to its steps, so at the result's threshold the exact value is used.
    return this.#isAtResultThreshold()
      ? (this.#result?.threshold ?? 0)
      : this.#threshold.valueAsNumber;
  }

  /** True if the part is not OK at the threshold of the slider. */
  get anomalous(): boolean {
    if (!this.#result) return false;
    return this.#isAtResultThreshold()
      ? this.#result.anomalous
      : this.#result.score >= this.threshold;
  }

  /** Shows a text in place of a verdict. */
  clear(word: string, reason: string): void {
    this.#result = undefined;
    this.#scale.hidden = this.#scoreBox.hidden = this.#fallback.hidden = true;
    this.#show("empty", "wait", word, reason);
  }

  /** Shows the progress of an inspection; undefined hides the bar. */
  showProgress(event: ProgressEvent | undefined): void {
    this.#progress.hidden = event === undefined;
    if (!event) return;
    if (event.total > 1) {
      this.#bar.max = event.total;
      this.#bar.value = event.done;
    } else {
      this.#bar.removeAttribute("value");
    }
    this.#progressText.textContent = `${formatStage(event.stage)}…`;
  }

  /**
   * Shows a result, at its threshold unless the user has moved the slider for this photograph.
   * `userThreshold` is the origin of a threshold that is not the model's.
   */
  show(result: ResultEvent, userThreshold?: UserThreshold): void {
    const isMoved = this.#result !== undefined && !this.#isAtResultThreshold();
    this.#result = result;
    this.#userThreshold = userThreshold;
    this.#score.textContent = formatScore(result.score);
    this.#meter.value = result.score;
    this.#meter.textContent = formatScore(result.score);
    this.#own.textContent = userThreshold
      ? `Yours is ${formatScore(result.threshold)}, the threshold from ${userThreshold.basis}; the model’s own is ${formatScore(userThreshold.modelThreshold)}.`
      : `The model’s own is ${formatScore(result.threshold)}.`;
    if (userThreshold?.isOtherDescription) {
      this.#own.textContent += " When yours was found, a good part was described in other words.";
    }
    this.#reset.textContent = userThreshold
      ? "Back to the one from your parts"
      : "Back to the model’s";
    if (!isMoved) this.#threshold.valueAsNumber = result.threshold;
    this.#scale.hidden = this.#scoreBox.hidden = false;
    this.#fallback.hidden = result.segProduced;
    this.#decide();
  }

  /** True if the slider is at the threshold of the result. */
  #isAtResultThreshold(): boolean {
    const distance = Math.abs(this.#threshold.valueAsNumber - (this.#result?.threshold ?? 0));
    return distance < Number(this.#threshold.step);
  }

  #decide(): void {
    const result = this.#result;
    if (!result) return;
    const isAtResultThreshold = this.#isAtResultThreshold();
    const { threshold } = this;
    const value = formatScore(threshold);
    this.#thresholdValue.value = value;
    this.#reset.hidden = isAtResultThreshold;
    const relation = this.anomalous ? "reaches" : "is below";
    const origin = !isAtResultThreshold
      ? `your threshold of ${value}`
      : this.#userThreshold
        ? `the threshold from ${this.#userThreshold.basis}, ${value}`
        : `the model’s threshold of ${value}`;
    const reason = `The score ${relation} ${origin}.`;
    const state = this.anomalous ? "bad" : "ok";
    this.#show(state, state, verdictText(this.anomalous), reason);
    this.onThreshold();
  }

  #show(state: string, icon: string, word: string, reason: string): void {
    this.#card.dataset["state"] = state;
    this.#icon.setAttribute("href", `#icon-${icon}`);
    this.#word.textContent = word;
    this.#reason.textContent = reason;
  }
}
