import type { StopReason } from "../lib/public/index.js";
import { byId, make } from "./dom.js";

/** A question and its answer; the question is empty for the inspection itself. */
export interface Turn {
  question: string;
  answer: string;
}

/** Note below an answer, by the reason why it ended. */
const STOP_NOTES: Record<StopReason, string> = {
  end: "",
  stop: "",
  length: "The answer was cut at the model’s limit.",
  cancelled: "Stopped.",
};

/** The conversation about a photograph. Model text is only set as text, never as markup. */
export class Chat {
  /** Called with a follow-up question. */
  onAsk: (question: string) => void = () => undefined;
  /** Called when the user stops the answer. */
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

  /** The questions and answers so far. */
  get turns(): readonly Turn[] {
    return this.#turns;
  }

  /** Removes the conversation. */
  clear(): void {
    this.#turns = [];
    this.#answer = undefined;
    this.#log.replaceChildren(this.#empty);
    this.showExplainedVerdict();
  }

  /** Enables asking, and stopping the answer that is being generated. */
  enable(ask: boolean, stop: boolean): void {
    const hadFocus = document.activeElement === this.#stop;
    this.#question.disabled = !ask && !stop;
    this.#send.disabled = !ask;
    this.#send.hidden = stop;
    this.#stop.hidden = !stop;
    this.#stop.disabled = !stop;
    if (hadFocus && !stop) this.#question.focus();
  }

  /** Restores a question that could not be answered, unless the user has typed another. */
  restoreQuestion(question: string): void {
    this.#question.value ||= question;
  }

  /** Begins a turn; {@link append} writes its answer. */
  beginTurn(question: string): void {
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
  endTurn(reason: StopReason): void {
    const answer = this.#answer;
    const turn = this.#turns.at(-1);
    if (!answer || !turn) return;
    this.#answer = undefined;
    answer.ariaBusy = "false";
    turn.answer = turn.answer.trim();
    if (!turn.answer && reason !== "cancelled") answer.textContent = "The model gave no words.";
    if (STOP_NOTES[reason]) answer.append(make("span", STOP_NOTES[reason], "fine"));
    this.#scroll();
  }

  /** Notes that the answer explains this verdict and not the one shown; without one, no note. */
  showExplainedVerdict(verdict?: string): void {
    this.#hint.textContent =
      verdict && this.#turns.length > 0
        ? `These words explain the verdict “${verdict}”, from before the threshold was moved.`
        : "";
  }

  /** Removes a turn that failed. */
  removeTurn(): void {
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
