import type { StopReason } from "../lib/index.js";
import { byId, make } from "./dom.js";

/** A question and what was answered; the question is empty for the inspection itself. */
export interface Turn {
  question: string;
  answer: string;
}

const ENDINGS: Record<StopReason, string> = {
  end: "",
  stop: "",
  length: "The answer was cut at the model’s limit.",
  cancelled: "Stopped.",
};

/** The conversation about a photograph. What the model writes is only ever set as text. */
export class Chat {
  /** Called with a follow-up question. */
  onAsk: (question: string) => void = () => undefined;
  /** Called when the user wants the answer to stop. */
  onStop: () => void = () => undefined;

  readonly #log = byId("log", HTMLElement);
  readonly #empty = byId("log-empty", HTMLElement);
  readonly #hint = byId("words-hint", HTMLElement);
  readonly #question = byId("question", HTMLTextAreaElement);
  readonly #send = byId("send", HTMLButtonElement);
  readonly #stop = byId("stop", HTMLButtonElement);
  #turns: Turn[] = [];
  #answer: HTMLElement | undefined;

  constructor() {
    const form = byId("follow-up", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const question = this.#question.value.trim();
      if (this.#send.disabled) return;
      if (!question) {
        this.#question.focus();
        return;
      }
      this.#question.value = "";
      this.onAsk(question);
    });
    this.#question.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.#stop.addEventListener("click", () => {
      this.#stop.disabled = true;
      this.onStop();
    });
  }

  /** What was asked and answered so far. */
  get turns(): readonly Turn[] {
    return this.#turns;
  }

  /** Forgets the conversation. */
  clear(): void {
    this.#turns = [];
    this.#answer = undefined;
    this.#log.replaceChildren(this.#empty);
    this.explains();
  }

  /** Whether a question can be typed, and whether an answer that can be stopped is being written. */
  allow(ask: boolean, stop: boolean): void {
    const hadFocus = document.activeElement === this.#stop;
    this.#question.disabled = !ask && !stop;
    this.#send.disabled = !ask;
    this.#send.hidden = stop;
    this.#stop.hidden = !stop;
    this.#stop.disabled = !stop;
    if (hadFocus && !stop) this.#question.focus();
  }

  /** Puts a question back, when it could not be answered. */
  putBack(question: string): void {
    this.#question.value ||= question;
  }

  /** Begins a turn; the answer is written by {@link append}. */
  begin(question: string): void {
    this.#empty.remove();
    this.#turns.push({ question, answer: "" });
    if (question) this.#log.append(make("p", question, "message asked"));
    this.#answer = make("p", "", "message answered");
    this.#answer.ariaBusy = "true";
    this.#log.append(this.#answer);
    this.#scroll();
  }

  /** Adds text to the answer. */
  append(text: string): void {
    const turn = this.#turns.at(-1);
    if (!turn || !this.#answer) return;
    turn.answer += text;
    this.#answer.textContent = turn.answer.trimStart();
    this.#scroll();
  }

  /** Ends the turn. */
  finish(reason: StopReason): void {
    const answer = this.#answer;
    const turn = this.#turns.at(-1);
    if (!answer || !turn) return;
    this.#answer = undefined;
    answer.ariaBusy = "false";
    turn.answer = turn.answer.trim();
    if (!turn.answer && reason !== "cancelled") answer.textContent = "The model gave no words.";
    if (ENDINGS[reason]) answer.append(make("span", ENDINGS[reason], "fine"));
    this.#scroll();
  }

  /** Says that the words explain another verdict than the one shown, or with none that they do not. */
  explains(verdict?: string): void {
    this.#hint.textContent =
      verdict && this.#turns.length > 0
        ? `These words explain the verdict “${verdict}”, from before the threshold was moved.`
        : "";
  }

  /** Takes back a turn that failed. */
  drop(): void {
    this.#turns.pop();
    const asked = this.#answer?.previousElementSibling;
    if (asked?.matches(".asked")) asked.remove();
    this.#answer?.remove();
    this.#answer = undefined;
    if (this.#turns.length === 0) this.#log.replaceChildren(this.#empty);
  }

  #scroll(): void {
    this.#log.scrollTop = this.#log.scrollHeight;
  }
}
