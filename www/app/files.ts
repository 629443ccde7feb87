import { byId } from "./dom.js";

/** A set of files that the user chooses or drops, in one or several steps. */
export class FileSet {
  /** Called when files were added or all were removed. */
  onChange: () => void = () => undefined;

  readonly #zone: HTMLElement;
  readonly #count: HTMLElement;
  readonly #clear: HTMLButtonElement;
  /** Keyed by name, size and time, so that the same file counts once. */
  readonly #files = new Map<string, File>();

  /** `name` is the prefix of the ids of its elements. */
  constructor(name: string) {
    this.#zone = byId(`${name}-zone`, HTMLElement);
    this.#count = byId(`${name}-count`, HTMLElement);
    this.#clear = byId(`${name}-clear`, HTMLButtonElement);
    const input = byId(`${name}-files`, HTMLInputElement);
    const choose = byId(`${name}-choose`, HTMLButtonElement);
    choose.addEventListener("click", () => {
      input.click();
    });
    input.addEventListener("change", () => {
      this.#add(input.files);
      // Otherwise choosing the same files again would not fire `change`.
      input.value = "";
    });
    this.#clear.addEventListener("click", () => {
      this.#files.clear();
      this.#show();
      choose.focus();
    });
    this.#listenForDrops();
    this.#show();
  }

  /** The files in the order in which they were added. */
  get files(): File[] {
    return [...this.#files.values()];
  }

  #listenForDrops(): void {
    const setDragging = (on: boolean) => (): void => {
      this.#zone.toggleAttribute("data-dragging", on);
    };
    this.#zone.addEventListener("dragenter", setDragging(true));
    this.#zone.addEventListener("dragover", setDragging(true));
    this.#zone.addEventListener("dragleave", setDragging(false));
    this.#zone.addEventListener("drop", (event) => {
      setDragging(false)();
      if (!event.dataTransfer?.files.length) return;
      // Tells the listener of the page that this drop is handled.
      event.preventDefault();
      this.#add(event.dataTransfer.files);
    });
  }

  #add(files: FileList | null): void {
    for (const file of files ?? []) {
      this.#files.set(`${file.name} ${file.size} ${file.lastModified}`, file);
    }
    this.#show();
  }

  #show(): void {
    const n = this.#files.size;
    this.#count.textContent =
      n === 0 ? "None chosen" : n === 1 ? "1 photograph" : `${n} photographs`;
    this.#clear.hidden = n === 0;
    this.onChange();
  }
}
