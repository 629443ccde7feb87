/** Saved thresholds, and the texts about the photographs that they come from. */
import { describe, expect, test } from "vitest";
import { summarise, warn } from "../../www/app/calibration.js";
import { scoreRange, stackDots } from "../../www/app/dots.js";
import {
  describeBasis,
  normalizeName,
  ThresholdStore,
  type TextStorage,
  type SavedThreshold,
} from "../../www/app/thresholds.js";
import type { CalibrationEvent, Scored, ThresholdMethod } from "../../www/lib/public/index.js";

const MODEL = { id: "tiny", fingerprint: "0123456789abcdef" };

function entry(object: string, image = 0.5): SavedThreshold {
  return {
    model: MODEL,
    object,
    normal: "",
    image,
    pixel: 0.6,
    own: { image: 0.4, pixel: 0.5 },
    nGood: 24,
    nDefective: 0,
    savedAt: "2026-01-02T03:04:05.000Z",
  };
}

/** `localStorage` in memory. */
function memory(text: string | null = null): TextStorage {
  let stored = text;
  return {
    getItem: () => stored,
    setItem: (_, value) => {
      stored = value;
    },
  };
}

describe("the store", () => {
  test("keeps one threshold for each model and object", () => {
    const storage = memory();
    const store = new ThresholdStore(storage);
    expect(store.save(entry("Hex bolt"))).toBe(true);
    expect(store.save(entry(" hex  BOLT", 0.7))).toBe(true);
    expect(store.save(entry(""))).toBe(true);
    expect(store.save({ ...entry("nut"), model: { ...MODEL, id: "large" } })).toBe(true);
    // Another page, or the same one after a reload.
    const other = new ThresholdStore(storage);
    expect(other.list("tiny").map(({ object }) => object)).toEqual(["", " hex  BOLT"]);
    expect(other.find(MODEL, "HEX BOLT")?.image).toBe(0.7);
    expect(other.find(MODEL, "")?.image).toBe(0.5);
    expect(other.find(MODEL, "nut")).toBeUndefined();
    other.remove(entry("hex bolt"));
    expect(store.find(MODEL, "hex bolt")).toBeUndefined();
    expect(store.list("tiny")).toHaveLength(1);
  });

  test("does not apply thresholds of another version of the model", () => {
    const store = new ThresholdStore(memory());
    store.save({ ...entry("bolt"), model: { ...MODEL, fingerprint: "other" } });
    expect(store.find(MODEL, "bolt")).toBeUndefined();
    expect(store.list("tiny")).toHaveLength(1);
  });

  test.for([
    null,
    "",
    "no JSON",
    "[]",
    JSON.stringify({ version: 2, thresholds: [entry("bolt")] }),
    JSON.stringify({ version: 1, thresholds: [{ ...entry("bolt"), image: "0.5" }, null, 3] }),
  ])("treats unreadable storage as empty: %s", (text) => {
    const store = new ThresholdStore(memory(text));
    expect(store.list("tiny")).toEqual([]);
    expect(store.save(entry("bolt"))).toBe(true);
    expect(store.list("tiny")).toHaveLength(1);
  });

  test("holds thresholds in memory if the browser refuses to store them", () => {
    const full: TextStorage = {
      getItem: () => null,
      setItem: () => {
        throw new DOMException("full", "QuotaExceededError");
      },
    };
    for (const storage of [full, undefined]) {
      const store = new ThresholdStore(storage);
      expect(store.save(entry("bolt"))).toBe(false);
      expect(store.find(MODEL, "bolt")?.image).toBe(0.5);
      store.remove(entry("bolt"));
      expect(store.find(MODEL, "bolt")).toBeUndefined();
    }
  });
});

test("object names and the basis of thresholds", () => {
  expect(normalizeName("  Hex\tBolt ")).toBe("hex bolt");
  for (const [change, expected] of [
    [{}, "24 good parts of “bolt”"],
    [{ nGood: 1 }, "1 good part of “bolt”"],
    [{ nDefective: 3 }, "24 good and 3 defective parts of “bolt”"],
    [{ object: "" }, "24 good parts"],
  ] as const) {
    expect(describeBasis({ ...entry("bolt"), ...change })).toBe(expected);
  }
});

function scored(score: number, defective = false): Scored {
  return { name: `${score}.png`, defective, score, peak: score };
}

test("dots stack up in the bin of their score, good parts below", () => {
  const scores = [scored(0.3, true), scored(0.3), scored(0.2), scored(0.5), scored(0.9)];
  const dots = stackDots(scores, { low: 0.2, high: 0.5 }, 3);
  expect(dots).toEqual([
    { defective: false, stack: 0, level: 0 },
    { defective: false, stack: 0, level: 1 },
    { defective: false, stack: 2, level: 0 },
    { defective: false, stack: 2, level: 1 },
    { defective: true, stack: 0, level: 2 },
  ]);
});

test("the range holds every number, has a minimum width and stays within 0 and 1", () => {
  for (const [numbers, low, high] of [
    [[0.4, 0.6], 0.38, 0.62],
    [[0.5, 0.5], 0.48, 0.52],
    [[0, 1], 0, 1],
  ] as const) {
    const range = scoreRange(numbers);
    expect(range.low).toBeCloseTo(low);
    expect(range.high).toBeCloseTo(high);
  }
});

describe("the summary of a calibration", () => {
  const quantile = (promised: number): ThresholdMethod => ({
    kind: "quantile",
    asked: 0.95,
    promised,
    nNeeded: 19,
  });
  const found = (method: ThresholdMethod, scores: Scored[]): CalibrationEvent => ({
    kind: "calibration",
    image: { threshold: 0.45, method },
    pixel: { threshold: 0.5, method },
    own: { image: 0.4, pixel: 0.5 },
    nGood: scores.filter(({ defective }) => !defective).length,
    nDefective: scores.filter(({ defective }) => defective).length,
    nSkipped: 0,
    scores,
  });

  test.for([
    [0.95, "at most 1 in 20", ""],
    [24 / 25, "at most 1 in 25", ""],
    [0.75, "at most 1 in 4", "Too few for 1 in 20: that takes 19"],
    [1 - 1 / 30, "at most 1 in 30", ""],
  ] as const)("promising %f", ([promised, summary, warning]) => {
    const event = found(quantile(promised), [scored(0.2), scored(0.44), scored(0.3)]);
    expect(summarise(event)).toContain(summary);
    expect(summarise(event)).toContain("0.44.png");
    expect(warn(event).startsWith(warning)).toBe(true);
    expect(warn(event) === "").toBe(warning === "");
  });

  test("with defective parts", () => {
    const scores = [scored(0.2), scored(0.5), scored(0.9, true), scored(0.1, true)];
    const event = found({ kind: "f1", f1: 0.5 }, scores);
    expect(summarise(event)).toContain("2 good and 2 defective parts apart best: 1 good called");
    expect(summarise(event)).toContain("1 defective missed");
    expect(warn(event)).toContain("so few");
  });
});
