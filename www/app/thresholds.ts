/** Thresholds from the user's own parts, saved in this browser. */

/** A version of a model: the name of its folder and the fingerprint of its weights. */
export interface ModelKey {
  id: string;
  fingerprint: string;
}

/** A threshold for the score and one for the map. */
export interface Thresholds {
  image: number;
  pixel: number;
}

/** The thresholds of one object, and the photographs that they come from. */
export interface SavedThreshold {
  model: ModelKey;
  /** As the user wrote it; empty for parts without a name. */
  object: string;
  /** The description of a good part. */
  normal: string;
  /** Score at and above which the part is not OK. */
  image: number;
  /** Map value above which a pixel is marked. */
  pixel: number;
  /** The model's own thresholds. */
  own: Thresholds;
  nGood: number;
  nDefective: number;
  /** Day and time, ISO 8601. */
  savedAt: string;
}

const KEY = "vmad.thresholds";
const VERSION = 1;

/** The name of an object without differences of case and spacing. */
export function normalizeName(object: string): string {
  return object.trim().replace(/\s+/g, " ").toLowerCase();
}

/** The part of `localStorage` that is used. */
export type TextStorage = Pick<Storage, "getItem" | "setItem">;

/** Reads and writes the saved thresholds. Another tab may do so too, so nothing is cached. */
export class ThresholdStore {
  readonly #storage: TextStorage | undefined;
  /** The thresholds if the browser refuses to store them; they last as long as the page. */
  #inMemory: SavedThreshold[] | undefined;

  constructor(storage: TextStorage | undefined) {
    this.#storage = storage;
  }

  /** The thresholds of all versions of a model, sorted by object. */
  list(modelId: string): SavedThreshold[] {
    const found = this.#read().filter(({ model }) => model.id === modelId);
    return found.sort((a, b) => a.object.localeCompare(b.object));
  }

  /** The threshold for an object and this version of the model. */
  find(model: ModelKey, object: string): SavedThreshold | undefined {
    return this.#read().find((entry) => isEntryFor(entry, model, object));
  }

  /**
   * Saves a threshold and replaces the one for the same object. False if the browser refuses: then
   * it lasts until the page is closed.
   */
  save(saved: SavedThreshold): boolean {
    return this.#write([...this.#without(saved), saved]);
  }

  /** Deletes a threshold. */
  remove(saved: SavedThreshold): void {
    this.#write(this.#without(saved));
  }

  #without({ model, object }: SavedThreshold): SavedThreshold[] {
    return this.#read().filter((entry) => !isEntryFor(entry, model, object));
  }

  #read(): SavedThreshold[] {
    if (this.#inMemory) return this.#inMemory;
    try {
      const stored: unknown = JSON.parse(this.#storage?.getItem(KEY) ?? "null");
      return isRecord(stored) &&
        stored["version"] === VERSION &&
        Array.isArray(stored["thresholds"])
        ? stored["thresholds"].filter(isSaved)
        : [];
    } catch {
      // Storage that is blocked or holds another format counts as empty.
      return [];
    }
  }

  #write(thresholds: SavedThreshold[]): boolean {
    try {
      if (!this.#storage) throw new Error("there is no storage");
      this.#storage.setItem(KEY, JSON.stringify({ version: VERSION, thresholds }));
      this.#inMemory = undefined;
      return true;
    } catch {
      this.#inMemory = thresholds;
      return false;
    }
  }
}

/** `localStorage`; undefined if the browser refuses access. */
export function browserStorage(): TextStorage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}

/** The photographs that a threshold comes from, e.g. `24 good parts of “bolt”`. */
export function describeBasis({ object, nGood, nDefective }: SavedThreshold): string {
  const good = nDefective > 0 ? `${nGood} good and ${nDefective} defective` : `${nGood} good`;
  const parts = nGood + nDefective === 1 ? "part" : "parts";
  return object ? `${good} ${parts} of “${object}”` : `${good} ${parts}`;
}

function isEntryFor(entry: SavedThreshold, model: ModelKey, object: string): boolean {
  return (
    entry.model.id === model.id &&
    entry.model.fingerprint === model.fingerprint &&
    normalizeName(entry.object) === normalizeName(object)
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
