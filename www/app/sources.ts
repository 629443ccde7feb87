import { byId, make } from "./dom.js";

/** A photograph from any source; samples have an object and a description. */
export interface Photo {
  blob: Blob;
  name: string;
  object?: string;
  normal?: string;
}

/** The object and the description of a good part that a sample is judged by. */
interface Criterion {
  /** Text on the button of the sample. */
  title: string;
  object: string;
  normal: string;
}

/** One entry of `samples/samples.json`. */
interface Sample extends Criterion {
  file: string;
  credit: string;
  /**
   * Several criteria for the same photograph, each with its own button. They replace the criterion
   * of the entry; missing fields are taken from it.
   */
  criteria?: Partial<Criterion>[];
}

const SAMPLES_FOLDER = "samples/";

/**
 * Listens to all sources of photographs: file chooser, camera, drop, paste and samples. `onError` is
 * called if a sample cannot be fetched.
 */
export function listenForPhotos(
  onPhoto: (photo: Photo) => void,
  onError: (thrown: unknown) => void,
): void {
  const openFile = (file: File): void => {
    setPressed(undefined);
    onPhoto({ blob: file, name: file.name });
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
      if (file) openFile(file);
      // Choosing the same file again is a change, too.
      input.value = "";
    });
  }

  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    openFile(file);
  });

  listenForDrops(openFile);
  void showSamples(onPhoto, onError);
}

/** The whole page takes drops; otherwise the browser would navigate to a file dropped beside the area. */
function listenForDrops(openFile: (file: File) => void): void {
  const area = byId("photo-area", HTMLElement);
  let depth = 0;
  const setDepth = (value: number): void => {
    depth = Math.max(0, value);
    area.toggleAttribute("data-dragging", depth > 0);
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
    // The calibration card handles drops on it by itself.
    if (!file || event.defaultPrevented) return;
    event.preventDefault();
    openFile(file);
  });
}

async function showSamples(
  onPhoto: (photo: Photo) => void,
  onError: (thrown: unknown) => void,
): Promise<void> {
  // Samples are optional: the page works without them.
  const response = await fetch(`${SAMPLES_FOLDER}samples.json`).catch(() => undefined);
  if (!response?.ok) return;
  const samples = (await response.json()) as Sample[];
  const buttonOf = (sample: Sample, criterion: Criterion): HTMLButtonElement => {
    const button = sampleButton(sample, criterion.title);
    const photo = prefetch(sample.file);
    button.addEventListener("click", () => {
      setPressed(button);
      const { object, normal } = criterion;
      photo()
        .then((blob) => {
          onPhoto({ blob, name: sample.file, object, normal });
        })
        .catch(onError);
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

/**
 * Fetches a sample at once, so that it can be used offline later. The returned function resolves to
 * the sample and fetches it again if the first fetch failed.
 */
function prefetch(file: string): () => Promise<Blob> {
  let cached: Blob | undefined;
  const get = async (): Promise<Blob> => {
    if (cached) return cached;
    const response = await fetch(SAMPLES_FOLDER + file);
    if (!response.ok) throw new TypeError(`${file}: HTTP status ${response.status}`);
    cached = await response.blob();
    return cached;
  };
  // The error is shown when the user clicks the sample.
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

/** The buttons of one photograph with several criteria. */
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

function setPressed(chosen: HTMLButtonElement | undefined): void {
  for (const button of byId("samples-list", HTMLElement).querySelectorAll("button")) {
    button.ariaPressed = String(button === chosen);
  }
}
