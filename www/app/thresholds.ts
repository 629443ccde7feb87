/** Thresholds that the user found for parts of their own, kept in this browser. */

/** A model as the page knows it: the folder's name, and what tells its versions apart. */
export interface ModelKey {
  id: string;
  fingerprint: string;
}

/** The thresholds of one object, and what they rest on. */
export interface SavedThreshold {
  model: ModelKey;
  /** As the user wrote it; empty for parts without a name. */
  object: string;
  /** What a good one was said to look like. */
  normal: string;
  /** Score from which on the part is not OK. */
  image: number;
  /** Map value above which a pixel is marked. */
  pixel: number;
  /** The model's own thresholds. */
  own: { image: number; pixel: number };
  nGood: number;
  nDefective: number;
  /** Day and time, ISO 8601. */
  savedAt: string;
}

const KEY = "vmad.thresholds";
const VERSION = 1;

/** An object's name without what people write one way and another. */
export function sameName(object: string): string {
  return object.trim().replace(/\s+/g, " ").toLowerCase();
}

/** The part of `localStorage` that is used. */
export type KeptTexts = Pick<Storage, "getItem" | "setItem">;

/** Reads and writes them. Another tab may do so too, so nothing is remembered between two calls. */
export class ThresholdStore {
  readonly #storage: KeptTexts | undefined;
  /** What the browser would not keep; it lasts as long as the page. */
  #unkept: SavedThreshold[] | undefined;

  constructor(storage: KeptTexts | undefined) {
    this.#storage = storage;
  }

  /** All of a model, by name; those of its earlier versions, too. */
  list(modelId: string): SavedThreshold[] {
    const found = this.#read().filter(({ model }) => model.id === modelId);
    return found.sort((a, b) => a.object.localeCompare(b.object));
  }

  /** The one for an object and this version of the model. */
  find(model: ModelKey, object: string): SavedThreshold | undefined {
    return this.#read().find((entry) => isFor(entry, model, object));
  }

  /** Keeps one in place of any for the same object; false if only until the page is closed. */
  save(saved: SavedThreshold): boolean {
    return this.#write([...this.#without(saved), saved]);
  }

  /** Forgets one. */
  remove(saved: SavedThreshold): void {
    this.#write(this.#without(saved));
  }

  #without({ model, object }: SavedThreshold): SavedThreshold[] {
    return this.#read().filter((entry) => !isFor(entry, model, object));
  }

  #read(): SavedThreshold[] {
    if (this.#unkept) return this.#unkept;
    try {
      const kept: unknown = JSON.parse(this.#storage?.getItem(KEY) ?? "null");
      return isRecord(kept) && kept["version"] === VERSION && Array.isArray(kept["thresholds"])
        ? kept["thresholds"].filter(isSaved)
        : [];
    } catch {
      // Not readable, or not ours: as if there were none.
      return [];
    }
  }

  #write(thresholds: SavedThreshold[]): boolean {
    try {
      if (!this.#storage) throw new Error("there is no storage");
      this.#storage.setItem(KEY, JSON.stringify({ version: VERSION, thresholds }));
      this.#unkept = undefined;
      return true;
    } catch {
      this.#unkept = thresholds;
      return false;
    }
  }
}

/** `localStorage`, unless the browser refuses it. */
export function browserStorage(): KeptTexts | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}

/** What a threshold rests on, e.g. `24 good parts of “bolt”`. */
export function restsOn({ object, nGood, nDefective }: SavedThreshold): string {
  const good = nDefective > 0 ? `${nGood} good and ${nDefective} defective` : `${nGood} good`;
  const parts = nGood + nDefective === 1 ? "part" : "parts";
  return object ? `${good} ${parts} of “${object}”` : `${good} ${parts}`;
}

function isFor(entry: SavedThreshold, model: ModelKey, object: string): boolean {
  return (
    entry.model.id === model.id &&
    entry.model.fingerprint === model.fingerprint &&
    sameName(entry.object) === sameName(object)
  );
}

function isSaved(value: unknown): value is SavedThreshold {
  if (!isRecord(value)) return false;
  const { model, own } = value;
  return (
    isRecord(model) &&
    isRecord(own) &&
    [model["id"], model["fingerprint"], value["object"], value["normal"], value["savedAt"]].every(
      (text) => typeof text === "string",
    ) &&
    [
      own["image"],
      own["pixel"],
      value["image"],
      value["pixel"],
      value["nGood"],
      value["nDefective"],
    ].every(Number.isFinite)
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
