import { byId } from "./dom.js";

/** Photographs that the user gathers: chosen, as often as they like, or dropped. */
export class FileSet {
  /** Called when there are more, or none any more. */
  onChange: () => void = () => undefined;

  readonly #zone: HTMLElement;
  readonly #count: HTMLElement;
  readonly #clear: HTMLButtonElement;
  /** By name, size and time, so that the same file counts once. */
  readonly #files = new Map<string, File>();

  /** The set whose elements in the page begin with this name. */
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
      // Choosing the same files again is a change, too.
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

  /** In the order in which they came. */
  get files(): File[] {
    return [...this.#files.values()];
  }

  #listenForDrops(): void {
    const mark = (on: boolean) => (): void => {
      this.#zone.toggleAttribute("data-dragging", on);
    };
    this.#zone.addEventListener("dragenter", mark(true));
    this.#zone.addEventListener("dragover", mark(true));
    this.#zone.addEventListener("dragleave", mark(false));
    this.#zone.addEventListener("drop", (event) => {
      mark(false)();
      if (!event.dataTransfer?.files.length) return;
      // Marks it as taken: elsewhere on the page a dropped file is a photograph to inspect.
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
