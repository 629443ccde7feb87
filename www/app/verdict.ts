import type { ProgressEvent, ResultEvent } from "../lib/index.js";
import { byId } from "./dom.js";
import { formatScore, formatStage } from "./format.js";

/** A threshold of the user's own that a result was judged by, in place of the model's. */
export interface OwnThreshold {
  /** What it rests on, e.g. `24 good parts of “bolt”`. */
  restsOn: string;
  /** The model's. */
  model: number;
  /** Whether the parts were described otherwise when it was found. */
  isOtherDescription: boolean;
}

/** The verdict in words. */
export function verdictWord(anomalous: boolean): string {
  return anomalous ? "Not OK" : "OK";
}

/** OK or not OK, the score, and the threshold between them. */
export class Verdict {
  /** Called when the threshold moved. */
  onThreshold: () => void = () => undefined;
  /** Called when the user wants the inspection to stop. */
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
  #from: OwnThreshold | undefined;

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

  /** The threshold as the slider stands. */
  get threshold(): number {
    // The slider rounds to its steps; where it stands for the result's threshold, that one counts.
    return this.#isAtRest() ? (this.#result?.threshold ?? 0) : this.#threshold.valueAsNumber;
  }

  /** Whether the part counts as not OK at the slider's threshold. */
  get anomalous(): boolean {
    if (!this.#result) return false;
    return this.#isAtRest() ? this.#result.anomalous : this.#result.score >= this.threshold;
  }

  /** Says that there is no verdict, and why. */
  clear(word: string, reason: string): void {
    this.#result = undefined;
    this.#scale.hidden = this.#scoreBox.hidden = this.#fallback.hidden = true;
    this.#show("empty", "wait", word, reason);
  }

  /** Shows how far an inspection is; undefined takes the bar away. */
  progress(event: ProgressEvent | undefined): void {
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
   * Shows a result, at its threshold unless the user moved it for this photograph. The threshold is
   * the model's, or one `from` the user's own parts.
   */
  show(result: ResultEvent, from?: OwnThreshold): void {
    const isMoved = this.#result !== undefined && !this.#isAtRest();
    this.#result = result;
    this.#from = from;
    this.#score.textContent = formatScore(result.score);
    this.#meter.value = result.score;
    this.#meter.textContent = formatScore(result.score);
    this.#own.textContent = from
      ? `Yours is ${formatScore(result.threshold)}, the threshold from ${from.restsOn}; the model’s own is ${formatScore(from.model)}.`
      : `The model’s own is ${formatScore(result.threshold)}.`;
    if (from?.isOtherDescription) {
      this.#own.textContent += " When yours was found, a good part was described in other words.";
    }
    this.#reset.textContent = from ? "Back to the one from your parts" : "Back to the model’s";
    if (!isMoved) this.#threshold.valueAsNumber = result.threshold;
    this.#scale.hidden = this.#scoreBox.hidden = false;
    this.#fallback.hidden = result.segProduced;
    this.#decide();
  }

  /** Whether the slider stands where the result has its threshold. */
  #isAtRest(): boolean {
    const distance = Math.abs(this.#threshold.valueAsNumber - (this.#result?.threshold ?? 0));
    return distance < Number(this.#threshold.step);
  }

  #decide(): void {
    const result = this.#result;
    if (!result) return;
    const isAtRest = this.#isAtRest();
    const { threshold } = this;
    const value = formatScore(threshold);
    this.#thresholdValue.value = value;
    this.#reset.hidden = isAtRest;
    const relation = this.anomalous ? "reaches" : "is below";
    const origin = !isAtRest
      ? `your threshold of ${value}`
      : this.#from
        ? `the threshold from ${this.#from.restsOn}, ${value}`
        : `the model’s threshold of ${value}`;
    const reason = `The score ${relation} ${origin}.`;
    const state = this.anomalous ? "bad" : "ok";
    this.#show(state, state, verdictWord(this.anomalous), reason);
    this.onThreshold();
  }

  #show(state: string, icon: string, word: string, reason: string): void {
    this.#card.dataset["state"] = state;
    this.#icon.setAttribute("href", `#icon-${icon}`);
    this.#word.textContent = word;
    this.#reason.textContent = reason;
  }
}
