import type { Ask, Query } from "../lib/index.js";
import type { Subject } from "./calibration.js";
import { byId } from "./dom.js";
import type { Photo } from "./sources.js";

/** The fields that say what is in the photograph and what to tell about it. */
export class QueryForm {
  /** Called when the user asks for an inspection. */
  onSubmit: () => void = () => undefined;
  /** Called when the object or what a good one looks like has changed. */
  onSubject: () => void = () => undefined;

  readonly #object = byId("object", HTMLInputElement);
  readonly #normal = byId("normal", HTMLTextAreaElement);
  readonly #ask = byId("ask", HTMLSelectElement);
  readonly #own = byId("own", HTMLInputElement);
  readonly #inspect = byId("inspect", HTMLButtonElement);
  readonly #hint = byId("query-hint", HTMLElement);
  readonly #savedHint = byId("saved-hint", HTMLElement);

  constructor() {
    for (const field of [this.#object, this.#normal]) {
      field.addEventListener("input", () => {
        this.onSubject();
      });
    }
    byId("query", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#ask.value === "question" && !this.#own.value.trim()) {
        this.#hint.textContent = "Write your question first.";
        this.#own.focus();
      } else if (!this.#inspect.disabled) {
        this.onSubmit();
      }
    });
    this.#ask.addEventListener("change", () => {
      byId("own-field", HTMLElement).hidden = this.#ask.value !== "question";
    });
  }

  /** Fills in what is known of a photograph; fields of a sample do not stay for the next one. */
  fill({ object, normal }: Photo, previous: Photo | undefined): void {
    if (object !== undefined || this.#object.value === previous?.object) {
      this.#object.value = object ?? "";
    }
    if (normal !== undefined || this.#normal.value === previous?.normal) {
      this.#normal.value = normal ?? "";
    }
    this.onSubject();
  }

  /** Object and description as they stand. */
  get subject(): Subject {
    return { object: this.#object.value.trim(), normal: this.#normal.value.trim() };
  }

  /** Says beside the object that a threshold of its own will be used. */
  showSaved(text: string): void {
    this.#savedHint.textContent = text;
  }

  /** Whether an inspection can be started, and what to say beside the button. */
  allow(inspect: boolean, hint: string): void {
    this.#inspect.disabled = !inspect;
    this.#hint.textContent = hint;
  }

  /** The fields as they stand. */
  read(): Query {
    const { object, normal } = this.subject;
    return { ...(object && { object }), ...(normal && { normal }), ask: this.#readAsk() };
  }

  /** The user's own question, if that is what was chosen. */
  get question(): string {
    const ask = this.#readAsk();
    return typeof ask === "object" ? ask.question : "";
  }

  #readAsk(): Ask {
    const { value } = this.#ask;
    switch (value) {
      case "description":
      case "impact":
      case "suggestion":
        return value;
      case "question": {
        const question = this.#own.value.trim();
        return question ? { question } : "none";
      }
      default:
        return "none";
    }
  }
}
