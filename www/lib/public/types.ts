/**
 * Queries, events and reports of an `Inspector`. Structured values only: they cross between
 * the page and its worker.
 */
import type { ErrorCode } from "./errors.js";

/** Where to compute. `auto` takes a hardware GPU if there is one and the CPU otherwise. */
export type DeviceChoice = "auto" | "cpu" | "gpu";

/** The device in use, and why it was chosen. */
export interface DeviceInfo {
  kind: "cpu" | "gpu";
  /** Display name, e.g. "CPU (WebAssembly SIMD)" or the name of the adapter. */
  name: string;
  /**
   * - `requested`: the caller asked for this device
   * - `hardware-gpu`: a hardware WebGPU adapter was found
   * - `no-gpu`: no WebGPU adapter was found
   * - `software-gpu`: only a software adapter was found, and the CPU is faster
   * - `gpu-failed`: a WebGPU adapter was found, but it failed the self-test
   */
  reason: "requested" | "hardware-gpu" | "no-gpu" | "software-gpu" | "gpu-failed";
  /** The WebGPU adapter that was considered, if any. */
  adapter: string | null;
}

/** The kind of answer to generate in addition to the mask. */
export type Ask = "none" | "description" | "impact" | "suggestion" | { question: string };

/** Options of text generation; the model package has the defaults. */
export interface Generation {
  maxNewTokens?: number;
  /** 0 selects greedy decoding. */
  temperature?: number;
  topP?: number;
  topK?: number;
  repetitionPenalty?: number;
  seed?: number;
  stop?: string[];
}

/** One inspection. */
export interface Query {
  /** What the photograph shows, e.g. "bolt". */
  object?: string;
  /** What a good part looks like. */
  normal?: string;
  ask?: Ask;
  generation?: Generation;
  /** Score at and above which the part is anomalous; the model's own threshold if absent. */
  threshold?: number;
  /** Map value above which a pixel is marked; the model's own threshold if absent. */
  mapThreshold?: number;
}

/** Settings that hold for all photographs of a calibration. */
export interface CalibrationOptions {
  /** What the photographs show, e.g. "bolt". */
  object?: string;
  /** What a good part looks like. */
  normal?: string;
  /** Share of good parts that has to pass, above 0 and below 1; 0.95 if absent. */
  quantile?: number;
}

/** One connected area above the map threshold, in pixels of the photograph. */
export interface Region {
  x: number;
  y: number;
  width: number;
  height: number;
  /** Pixels. */
  area: number;
  /** The largest map value inside, 0 to 1. */
  score: number;
}

/** Why the text ended. */
export type StopReason = "end" | "length" | "stop" | "cancelled";

/** Progress of a call: `done` and `total` are bytes while loading and steps while computing. */
export interface ProgressEvent {
  kind: "progress";
  stage: string;
  done: number;
  total: number;
}

/** The next part of the answer, to be appended to the earlier parts. */
export interface TokenEvent {
  kind: "token";
  text: string;
}

/** The anomaly map: one value from 0 to 1 for each pixel of the photograph, row-major. */
export interface MaskEvent {
  kind: "mask";
  width: number;
  height: number;
  map: Float32Array<ArrayBuffer>;
}

/** The verdict. */
export interface ResultEvent {
  kind: "result";
  /** 0 to 1, higher is more anomalous. */
  score: number;
  threshold: number;
  anomalous: boolean;
  /** Map value above which a pixel belongs to the mask. */
  mapThreshold: number;
  regions: Region[];
  answer: string;
  /** False if the generated text has no `[SEG]` and the mask is the one of the forced prompt. */
  segProduced: boolean;
  device: string;
  /** Stage and milliseconds, in execution order. */
  timings: [stage: string, ms: number][];
}

/** The last event of every call that did not fail. */
export interface DoneEvent {
  kind: "done";
  reason: StopReason;
}

/** The events of `inspect` and `ask`. */
export type InspectEvent = ProgressEvent | TokenEvent | MaskEvent | ResultEvent | DoneEvent;

/** The scores of one photograph of a calibration. */
export interface Scored {
  name: string;
  /** True if its label is `defective`. */
  defective: boolean;
  /** 0 to 1. */
  score: number;
  /** The largest value of its map, 0 to 1. */
  peak: number;
}

/** One photograph of a calibration has been scored. */
export interface ScoredEvent extends Scored {
  kind: "scored";
}

/** One photograph of a calibration cannot be used; the calibration goes on without it. */
export interface SkippedEvent {
  kind: "skipped";
  name: string;
  code: ErrorCode;
  message: string;
}

/** The method by which a threshold was found. */
export type ThresholdMethod =
  | {
      /** The share `promised` of further good parts stays below the threshold. */
      kind: "quantile";
      /** The share that was requested. */
      asked: number;
      /** The share that holds for this number of photographs; below `asked` if they are too few. */
      promised: number;
      /** The number of photographs of good parts from which `asked` holds. */
      nNeeded: number;
    }
  /** The threshold with the largest F1 score on labelled photographs. */
  | { kind: "f1"; f1: number };

/** A threshold and the method by which it was found. */
export interface FoundThreshold {
  threshold: number;
  method: ThresholdMethod;
}

/** Thresholds from a user's own photographs, with the scores that they come from. */
export interface CalibrationEvent {
  kind: "calibration";
  /** For the score: {@link Query.threshold}. */
  image: FoundThreshold;
  /** For the map: {@link Query.mapThreshold}. */
  pixel: FoundThreshold;
  /** The model's own thresholds. */
  own: { image: number; pixel: number };
  /** Numbers of photographs of good parts, of defective parts, and of unusable photographs. */
  nGood: number;
  nDefective: number;
  nSkipped: number;
  scores: Scored[];
}

/** The events of `calibrate`: one for each photograph, then the thresholds, then `done`. */
export type CalibrateEvent = ScoredEvent | SkippedEvent | CalibrationEvent | DoneEvent;

/** Memory use and stage times of a session. */
export interface Report {
  /** Bytes held by the WebAssembly instance. */
  hostBytes: number;
  /** Bytes of weights and buffers on the GPU; `null` on the CPU. */
  deviceBytes: number | null;
  /** Stage and milliseconds of loading. */
  loading: [stage: string, ms: number][];
  /** Stage and milliseconds of the last inspection. */
  timings: [stage: string, ms: number][];
}
