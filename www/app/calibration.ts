import type {
  CalibrateEvent,
  CalibrationEvent,
  PartLabel,
  Scored,
  SkippedEvent,
} from "../lib/public/index.js";
import { byId, make } from "./dom.js";
import { drawDots, scoreRange } from "./dots.js";
import { FileSet } from "./files.js";
import { formatScore } from "./format.js";
import { describeBasis, type ModelKey, type SavedThreshold } from "./thresholds.js";

/** The input of a calibration. */
export interface CalibrationTask {
  photos: File[];
  labels: PartLabel[];
  /** Share of good parts that has to pass. */
  quantile: number;
}

/** The kind of part that thresholds are for. */
export interface Subject {
  object: string;
  normal: string;
}

/** The thresholds of a calibration and the kind of part that they are for. */
export interface CalibrationOutcome {
  subject: Subject;
  calibration: CalibrationEvent;
}

const MAX_SKIPPED = 5;

/** The card in which a user calibrates the threshold with photographs of their own parts. */
export class CalibrationCard {
  /** Called when the user starts the calibration. */
  onStart: () => void = () => undefined;
  /** Called when the user stops the calibration. */
  onStop: () => void = () => undefined;
  /** Called when the user accepts the thresholds; returns false if the browser cannot save them. */
  onUse: (outcome: CalibrationOutcome) => boolean = () => true;
  /** Called when the user deletes saved thresholds. */
  onDelete: (saved: SavedThreshold) => void = () => undefined;

  readonly #good = new FileSet("good");
  readonly #defective = new FileSet("defective");
  readonly #tolerance = byId("tolerance", HTMLSelectElement);
  readonly #toleranceHint = byId("tolerance-hint", HTMLElement);
  readonly #object = byId("calibration-object", HTMLElement);
  readonly #start = byId("calibration-start", HTMLButtonElement);
  readonly #hint = byId("calibration-hint", HTMLElement);
  readonly #running = byId("calibration-running", HTMLElement);
  readonly #bar = byId("calibration-bar", HTMLProgressElement);
  readonly #progress = byId("calibration-progress", HTMLElement);
  readonly #result = byId("calibration-result", HTMLElement);
  readonly #summary = byId("calibration-summary", HTMLElement);
  readonly #warning = byId("calibration-warning", HTMLElement);
  readonly #skippedText = byId("calibration-skipped", HTMLElement);
  readonly #use = byId("calibration-use", HTMLButtonElement);
  readonly #used = byId("calibration-used", HTMLElement);
  #canStart = false;
  #task: CalibrationTask = { photos: [], labels: [], quantile: 0 };
  #skipped: SkippedEvent[] = [];
  #nDone = 0;
  #outcome: CalibrationOutcome | undefined;

  constructor() {
    this.#good.onChange = this.#defective.onChange = () => {
      this.#updateControls();
    };
    this.#tolerance.addEventListener("change", () => {
      this.#updateControls();
    });
    this.#start.addEventListener("click", () => {
      this.onStart();
    });
    byId("calibration-stop", HTMLButtonElement).addEventListener("click", () => {
      this.#progress.textContent = "Stopping…";
      this.onStop();
    });
    this.#use.addEventListener("click", () => {
      if (!this.#outcome) return;
      const isPersistent = this.onUse(this.#outcome);
      this.#used.textContent = isPersistent
        ? "Saved. It is used from now on whenever this name stands in the field Object."
        : "Used until this page is closed: the browser does not let it keep anything.";
    });
    this.#updateControls();
  }

  /** Shows the kind of part that the thresholds will be for. */
  setSubject({ object }: Subject): void {
    this.#object.textContent = object
      ? `The threshold counts for “${object}”, as written in the field Object.`
      : "The threshold counts for photographs without a name; write one in the field Object to tell kinds of parts apart.";
  }

  /** Enables the start button, and shows the progress of a running calibration. */
  enable(canStart: boolean, isRunning: boolean): void {
    const hadFocus = this.#running.contains(document.activeElement);
    this.#canStart = canStart;
    this.#running.hidden = !isRunning;
    this.#start.hidden = isRunning;
    this.#updateControls();
    if (hadFocus && !isRunning) this.#start.focus();
  }

  /** Clears the last outcome and returns the chosen photographs with their labels. */
  begin(): CalibrationTask {
    const [good, defective] = [this.#good.files, this.#defective.files];
    this.#task = {
      photos: [...good, ...defective],
      labels: [...good.map(() => "good" as const), ...defective.map(() => "defective" as const)],
      quantile: 1 - 1 / this.#oneIn,
    };
    this.#skipped = [];
    this.#nDone = 0;
    this.#outcome = undefined;
    this.#result.hidden = true;
    this.#showProgress();
    byId("calibration-stop", HTMLButtonElement).focus();
    return this.#task;
  }

  /** Shows an event of a calibration for a subject. */
  handle(event: CalibrateEvent, subject: Subject): void {
    switch (event.kind) {
      case "scored":
        this.#nDone += 1;
        this.#showProgress();
        break;
      case "skipped":
        this.#nDone += 1;
        this.#skipped.push(event);
        this.#showProgress();
        break;
      case "calibration":
        this.#showOutcome({ subject, calibration: event });
        break;
      case "done":
        if (event.reason === "cancelled") this.#hint.textContent = "Stopped.";
        break;
      default:
        event satisfies never;
    }
  }

  /** Lists the saved thresholds of a model. */
  list(saved: readonly SavedThreshold[], { fingerprint }: ModelKey): void {
    const rows = saved.map((entry) => {
      const row = make("li");
      const name = entry.object || "Parts without a name";
      const isCurrent = entry.model.fingerprint === fingerprint;
      const text = make("span");
      const day = new Date(entry.savedAt).toLocaleDateString();
      text.append(
        make("strong", name),
        make(
          "span",
          `threshold ${formatScore(entry.image)} from ${describeBasis(entry)}, ${day}`,
          "fine",
        ),
      );
      if (!isCurrent) {
        text.append(make("span", "Not used: the model has changed since. Find it anew.", "fine"));
      }
      const button = make("button", "Delete");
      button.type = "button";
      button.ariaLabel = `Delete the threshold for ${name}`;
      button.addEventListener("click", () => {
        this.onDelete(entry);
        byId("saved-title", HTMLElement).focus();
      });
      row.append(text, button);
      return row;
    });
    byId("saved-list", HTMLElement).replaceChildren(...rows);
    byId("saved", HTMLElement).hidden = rows.length === 0;
  }

  get #oneIn(): number {
    return Number(this.#tolerance.value);
  }

  #updateControls(): void {
    const nGood = this.#good.files.length;
    const nNeeded = this.#oneIn - 1;
    const isLabelled = this.#defective.files.length > 0;
    this.#toleranceHint.textContent = isLabelled
      ? "With photographs of defective parts the threshold is put where it tells them from the good ones best; this choice then counts for the marks on the photograph only."
      : `To promise that takes ${nNeeded} photographs of good parts. With fewer you learn what they do promise.`;
    this.#start.disabled = !this.#canStart || nGood === 0;
    if (!this.#running.hidden) this.#hint.textContent = "";
    else if (nGood === 0) this.#hint.textContent = "Choose photographs of good parts first.";
    else if (this.#hint.textContent !== "Stopped.") this.#hint.textContent = "";
  }

  #showProgress(): void {
    const n = this.#task.photos.length;
    this.#bar.max = n;
    this.#bar.value = this.#nDone;
    this.#progress.textContent =
      this.#nDone < n ? `Inspecting photograph ${this.#nDone + 1} of ${n}…` : "Done.";
  }

  #showOutcome(outcome: CalibrationOutcome): void {
    const { calibration, subject } = outcome;
    const { image, own, scores } = calibration;
    this.#outcome = outcome;
    this.#result.hidden = false;
    drawDots(byId("calibration-plot", SVGSVGElement), scores, [
      { value: own.image, className: "own" },
      { value: image.threshold, className: "found" },
    ]);
    const { low, high } = scoreRange([
      own.image,
      image.threshold,
      ...scores.map(({ score }) => score),
    ]);
    byId("calibration-low", HTMLElement).textContent = formatScore(low);
    byId("calibration-high", HTMLElement).textContent = formatScore(high);
    byId("calibration-found", HTMLElement).textContent =
      `your threshold ${formatScore(image.threshold)}`;
    byId("calibration-own", HTMLElement).textContent = `the model’s own ${formatScore(own.image)}`;
    byId("calibration-key-defective", HTMLElement).hidden = calibration.nDefective === 0;
    byId("calibration-plot", SVGSVGElement).ariaLabel = describePlot(calibration);
    this.#summary.textContent = summarise(calibration);
    const warning = warn(calibration);
    this.#warning.textContent = warning;
    this.#warning.hidden = !warning;
    this.#showSkipped();
    this.#use.textContent = subject.object
      ? `Use it for “${subject.object}”`
      : "Use it for parts without a name";
    this.#used.textContent = "";
    // The focus leaves the stop button, which is hidden next.
    this.#result.focus();
  }

  #showSkipped(): void {
    const names = this.#skipped.slice(0, MAX_SKIPPED).map(({ name }) => name);
    const n = this.#skipped.length;
    const more = n > names.length ? ` and ${n - names.length} more` : "";
    this.#skippedText.hidden = n === 0;
    this.#skippedText.textContent = `${n} of ${this.#task.photos.length} files could not be used: ${names.join(", ")}${more}.`;
  }
}

/** The outcome of a calibration in a few sentences. */
export function summarise({ image, nGood, nDefective, scores }: CalibrationEvent): string {
  const threshold = formatScore(image.threshold);
  if (image.method.kind === "f1") {
    const isRejected = ({ score }: Scored): boolean => score >= image.threshold;
    const rejected = scores.filter(isRejected);
    const nMissed = nDefective - rejected.filter(({ defective }) => defective).length;
    const nFalse = rejected.filter(({ defective }) => !defective).length;
    return `The threshold ${threshold} tells these ${nGood} good and ${nDefective} defective parts apart best: ${nFalse} good called not OK, ${nMissed} defective missed.`;
  }
  const highest = scores.reduce((max, scored) => (scored.score > max.score ? scored : max));
  const oneIn = Math.floor(1 / (1 - image.method.promised) + 1e-6);
  return `The threshold ${threshold} from ${count(nGood, "good part")}: of further good parts like these, expect at most 1 in ${oneIn} to be called not OK. The highest score has ${highest.name}, ${formatScore(highest.score)}; look at it again if that surprises you.`;
}

/** A warning that there are too few photographs; empty if there are enough. */
export function warn({ image, nGood, nDefective }: CalibrationEvent): string {
  const { method } = image;
  if (method.kind === "f1") {
    const fewest = Math.min(nGood, nDefective);
    return fewest < 10
      ? `With so few photographs (${nGood} good, ${nDefective} defective) another choice of them may give quite another threshold.`
      : "";
  }
  if (method.promised >= method.asked) return "";
  const asked = Math.round(1 / (1 - method.asked));
  return `Too few for 1 in ${asked}: that takes ${method.nNeeded} photographs of good parts, and ${nGood} could be used. The threshold lies just above the highest of their scores.`;
}

function describePlot({ image, own, scores }: CalibrationEvent): string {
  const range = (isDefective: boolean): string => {
    const values = scores
      .filter(({ defective }) => defective === isDefective)
      .map(({ score }) => score);
    return `${formatScore(Math.min(...values))} to ${formatScore(Math.max(...values))}`;
  };
  const isLabelled = scores.some(({ defective }) => defective);
  const defective = isLabelled ? `, of defective parts from ${range(true)}` : "";
  return `Scores of good parts from ${range(false)}${defective}; your threshold ${formatScore(image.threshold)}, the model’s own ${formatScore(own.image)}`;
}

function count(n: number, noun: string): string {
  return n === 1 ? `1 ${noun}` : `${n} ${noun}s`;
}
