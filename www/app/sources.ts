import { byId, make } from "./dom.js";

/** A photograph from wherever it came, with what is known about it. */
export interface Photo {
  blob: Blob;
  name: string;
  object?: string;
  normal?: string;
}

/** What a photograph is judged against. */
interface Criterion {
  /** What the sample's button says. */
  title: string;
  object: string;
  normal: string;
}

/** One entry of `samples/samples.json`. */
interface Sample extends Criterion {
  file: string;
  credit: string;
  /**
   * Descriptions that the same photograph is judged against, each with a button of its own, in
   * place of the entry's own. What one leaves out is the entry's.
   */
  criteria?: Partial<Criterion>[];
}

const SAMPLES_FOLDER = "samples/";

/**
 * Every way in which a photograph gets onto the page: chosen, taken, dropped, pasted or a sample.
 */
export function listenForPhotos(take: (photo: Photo) => void, failed: (e: unknown) => void): void {
  const takeFile = (file: File): void => {
    markSample(undefined);
    take({ blob: file, name: file.name });
  };

  for (const [buttonId, inputId] of [
    ["choose", "file"],
    ["shoot", "camera"],
  ] as const) {
    const input = byId(inputId, HTMLInputElement);
    byId(buttonId, HTMLButtonElement).addEventListener("click", () => {
      input.click();
    });
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      if (file) takeFile(file);
      // Choosing the same file again is a change, too.
      input.value = "";
    });
  }

  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    takeFile(file);
  });

  listenForDrops(takeFile);
  void showSamples(take, failed);
}

/** A photograph may be let go anywhere on the page; elsewhere the browser would leave the page. */
function listenForDrops(takeFile: (file: File) => void): void {
  const stage = byId("stage", HTMLElement);
  let depth = 0;
  const setDepth = (value: number): void => {
    depth = Math.max(0, value);
    stage.toggleAttribute("data-dragging", depth > 0);
  };
  const hasFiles = (event: DragEvent): boolean =>
    event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragenter", (event) => {
    if (hasFiles(event)) setDepth(depth + 1);
  });
  document.addEventListener("dragleave", (event) => {
    if (hasFiles(event)) setDepth(depth - 1);
  });
  document.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    setDepth(0);
    const file = event.dataTransfer?.files[0];
    // A part of the page may have taken the files for itself.
    if (!file || event.defaultPrevented) return;
    event.preventDefault();
    takeFile(file);
  });
}

async function showSamples(
  take: (photo: Photo) => void,
  failed: (e: unknown) => void,
): Promise<void> {
  // Without samples the page is still whole, so their absence is no failure.
  const response = await fetch(`${SAMPLES_FOLDER}samples.json`).catch(() => undefined);
  if (!response?.ok) return;
  const samples = (await response.json()) as Sample[];
  const buttonOf = (sample: Sample, criterion: Criterion): HTMLButtonElement => {
    const button = sampleButton(sample, criterion.title);
    const photo = kept(sample.file);
    button.addEventListener("click", () => {
      markSample(button);
      const { object, normal } = criterion;
      photo()
        .then((blob) => {
          take({ blob, name: sample.file, object, normal });
        })
        .catch(failed);
    });
    return button;
  };
  const items = samples.map((sample) => {
    const item = make("li");
    const criteria = sample.criteria ?? [];
    if (criteria.length === 0) item.append(buttonOf(sample, sample));
    else {
      const buttons = criteria.map((criterion) => buttonOf(sample, { ...sample, ...criterion }));
      item.append(sampleGroup(sample.title, buttons));
    }
    return item;
  });
  byId("samples-list", HTMLElement).replaceChildren(...items);
  byId("samples", HTMLElement).hidden = samples.length === 0;
}

/** Fetches a sample at once, so that it is there when the network is not; anew if that failed. */
function kept(file: string): () => Promise<Blob> {
  let kept: Blob | undefined;
  const get = async (): Promise<Blob> => {
    if (kept) return kept;
    const response = await fetch(SAMPLES_FOLDER + file);
    if (!response.ok) throw new TypeError(`${file}: HTTP status ${response.status}`);
    kept = await response.blob();
    return kept;
  };
  // Whoever clicks is told.
  get().catch(() => undefined);
  return get;
}

function sampleButton({ file, credit }: Sample, title: string): HTMLButtonElement {
  const button = make("button");
  button.type = "button";
  button.title = `${title} (${credit})`;
  button.ariaPressed = "false";
  const picture = make("img");
  picture.src = SAMPLES_FOLDER + file;
  picture.alt = "";
  picture.loading = "lazy";
  button.append(picture, make("span", title));
  return button;
}

/** The buttons of one photograph that is judged against several descriptions. */
function sampleGroup(title: string, buttons: HTMLButtonElement[]): HTMLElement {
  const group = make("div", "", "pair");
  group.role = "group";
  group.ariaLabel = title;
  const row = make("div");
  row.append(...buttons);
  group.append(
    row,
    make("p", "The same photograph, judged against different descriptions", "fine"),
  );
  return group;
}

function markSample(chosen: HTMLButtonElement | undefined): void {
  for (const button of byId("samples-list", HTMLElement).querySelectorAll("button")) {
    button.ariaPressed = String(button === chosen);
  }
}
