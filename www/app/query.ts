import type { Ask, Query } from "../lib/public/index.js";
import type { Subject } from "./calibration.js";
import { byId } from "./dom.js";
import type { Photo } from "./sources.js";

/** The form of a query: object, description of a good part, and question. */
export class QueryForm {
  /** Called when the user starts an inspection. */
  onSubmit: () => void = () => undefined;
  /** Called when the object or the description of a good part has changed. */
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

  /** Fills in the fields of a sample, and clears those that the previous sample filled in. */
  fill({ object, normal }: Photo, previous: Photo | undefined): void {
    if (object !== undefined || this.#object.value === previous?.object) {
      this.#object.value = object ?? "";
    }
    if (normal !== undefined || this.#normal.value === previous?.normal) {
      this.#normal.value = normal ?? "";
    }
    this.onSubject();
  }

  /** The current object and description. */
  get subject(): Subject {
    return { object: this.#object.value.trim(), normal: this.#normal.value.trim() };
  }

  /** Shows the hint about a saved threshold for the object. */
  showSaved(text: string): void {
    this.#savedHint.textContent = text;
  }

  /** Enables the button; `hint` is the text beside it. */
  enable(inspect: boolean, hint: string): void {
    this.#inspect.disabled = !inspect;
    this.#hint.textContent = hint;
  }

  /** The current query. */
  read(): Query {
    const { object, normal } = this.subject;
    return { ...(object && { object }), ...(normal && { normal }), ask: this.#readAsk() };
  }

  /** The user's own question; empty if another kind of answer is chosen. */
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
