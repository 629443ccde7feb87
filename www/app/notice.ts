import type { VmadError } from "../lib/public/index.js";
import { byId } from "./dom.js";
import { MESSAGES, type Message } from "./messages.js";

const ACTION_NAMES: Record<NonNullable<Message["action"]>, string> = {
  "reload-model": "Try again",
  "use-cpu": "Use the CPU",
  inspect: "Inspect again",
};

/** Shows failures: what happened, what to do next, and a button that does it. */
export class Notice {
  /** Called with the action of the pressed button. */
  onAction: (action: NonNullable<Message["action"]>) => void = () => undefined;

  readonly #box = byId("notice", HTMLElement);
  readonly #title = byId("notice-title", HTMLElement);
  readonly #next = byId("notice-next", HTMLElement);
  readonly #detail = byId("notice-detail", HTMLElement);
  readonly #action = byId("notice-action", HTMLButtonElement);
  #message: Message | undefined;

  constructor() {
    byId("notice-close", HTMLButtonElement).addEventListener("click", () => {
      this.hide();
    });
    this.#action.addEventListener("click", () => {
      const action = this.#message?.action;
      this.hide();
      if (action) this.onAction(action);
    });
  }

  /** Shows the message of an error. */
  show(error: VmadError): void {
    this.showMessage(MESSAGES[error.code], error.message, error.code);
  }

  /** Shows a message with the details for a bug report. */
  showMessage(message: Message, detail: string, code = ""): void {
    this.#message = message;
    this.#title.textContent = message.title;
    this.#next.textContent = message.next;
    this.#detail.textContent = detail;
    this.#action.hidden = !message.action;
    this.#action.textContent = message.action ? ACTION_NAMES[message.action] : "";
    this.#box.dataset["code"] = code;
    this.#box.hidden = false;
    this.#box.scrollIntoView({ block: "nearest" });
  }

  /** Hides the notice. */
  hide(): void {
    this.#box.hidden = true;
  }
}
