import { byId, make } from "./dom.js";

/** A photograph from wherever it came, with what is known about it. */
export interface Photo {
  blob: Blob;
  name: string;
  object?: string;
  normal?: string;
}

/** One entry of `samples/samples.json`. */
interface Sample {
  file: string;
  title: string;
  object: string;
  normal: string;
  credit: string;
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
    if (!file) return;
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
  const list = byId("samples-list", HTMLElement);
  for (const sample of samples) {
    const button = make("button");
    button.type = "button";
    button.title = `${sample.title} (${sample.credit})`;
    button.ariaPressed = "false";
    const picture = make("img");
    picture.src = SAMPLES_FOLDER + sample.file;
    picture.alt = "";
    picture.loading = "lazy";
    button.append(picture, make("span", sample.title));
    button.addEventListener("click", () => {
      markSample(button);
      fetch(SAMPLES_FOLDER + sample.file)
        .then(async (file) => {
          if (!file.ok) throw new TypeError(`${sample.file}: HTTP status ${file.status}`);
          const { object, normal } = sample;
          take({ blob: await file.blob(), name: sample.file, object, normal });
        })
        .catch(failed);
    });
    const item = make("li");
    item.append(button);
    list.append(item);
  }
  byId("samples", HTMLElement).hidden = samples.length === 0;
}

function markSample(chosen: HTMLButtonElement | undefined): void {
  for (const button of byId("samples-list", HTMLElement).querySelectorAll("button")) {
    button.ariaPressed = String(button === chosen);
  }
}
