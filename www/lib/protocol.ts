/**
 * Everything that crosses between the page and the worker. Structured values only; photographs and
 * maps are typed arrays whose buffers are transferred.
 */
import type { ErrorCode } from "./errors.js";

/** Where to compute. `auto` takes a hardware GPU if there is one and the CPU otherwise. */
export type DeviceChoice = "auto" | "cpu" | "gpu";

/** The device that runs, and why it was chosen. */
export interface DeviceInfo {
  kind: "cpu" | "gpu";
  /** For people, e.g. "CPU (WebAssembly SIMD)" or the adapter's name. */
  name: string;
  /**
   * - `requested`: the caller asked for this device
   * - `hardware-gpu`: a hardware WebGPU adapter was found
   * - `no-gpu`: no WebGPU adapter was found
   * - `software-gpu`: only a software adapter was found, and the CPU is faster
   * - `gpu-failed`: a WebGPU adapter was found, but it computes wrongly
   */
  reason: "requested" | "hardware-gpu" | "no-gpu" | "software-gpu" | "gpu-failed";
  /** The WebGPU adapter that was looked at, if any. */
  adapter: string | null;
}

/** What to tell the user beside the mask. */
export type Ask = "none" | "description" | "impact" | "suggestion" | { question: string };

/** How text is generated; everything has the model's default. */
export interface Generation {
  maxNewTokens?: number;
  /** 0 is greedy. */
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
  /** Score at and above which the part is called anomalous; the model's own if absent. */
  threshold?: number;
  /** Map value above which a pixel is marked; the model's own if absent. */
  mapThreshold?: number;
}

/** What the photographs of a calibration have in common. */
export interface CalibrationOptions {
  /** What they show, e.g. "bolt". */
  object?: string;
  /** What a good part looks like. */
  normal?: string;
  /** Share of good parts that shall pass, above 0 and below 1; 0.95 if absent. */
  quantile?: number;
}

/** A photograph to calibrate with, as it goes to the worker. */
export interface CalibrationPhoto {
  name: string;
  defective: boolean;
  /** The file; absent if it could not be read. */
  image?: Uint8Array<ArrayBuffer>;
  /** Why it could not be read. */
  failure?: string;
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

/** Bytes while loading, steps while computing. */
export interface ProgressEvent {
  kind: "progress";
  stage: string;
  done: number;
  total: number;
}

/** A piece of the answer, to be appended to what came before. */
export interface TokenEvent {
  kind: "token";
  text: string;
}

/** How anomalous each pixel of the photograph is: row-major, 0 to 1. */
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
  /** False when the model's own text asked for no mask and the scoring mode made it. */
  segProduced: boolean;
  device: string;
  /** Stage and milliseconds, in the order in which they ran. */
  timings: [stage: string, ms: number][];
}

/** The last event of every call that did not fail. */
export interface DoneEvent {
  kind: "done";
  reason: StopReason;
}

/** What `inspect` and `ask` yield. */
export type InspectEvent = ProgressEvent | TokenEvent | MaskEvent | ResultEvent | DoneEvent;

/** What a photograph of a calibration got. */
export interface Scored {
  name: string;
  /** Whether it was said to show a defective part. */
  defective: boolean;
  /** 0 to 1. */
  score: number;
  /** The largest value of its map, 0 to 1. */
  peak: number;
}

/** A photograph has been inspected. */
export interface ScoredEvent extends Scored {
  kind: "scored";
}

/** A photograph cannot be used; the others can. */
export interface SkippedEvent {
  kind: "skipped";
  name: string;
  code: ErrorCode;
  message: string;
}

/** How a threshold was found. */
export type ThresholdMethod =
  | {
      /** A share of the good parts stays below it. */
      kind: "quantile";
      asked: number;
      /** The share that so many photographs promise; less than asked for where they are too few. */
      promised: number;
      /** The fewest photographs of good parts that promise what was asked for. */
      nNeeded: number;
    }
  /** It tells good from defective best, with this F1 score. */
  | { kind: "f1"; f1: number };

/** A threshold and how it was found. */
export interface FoundThreshold {
  threshold: number;
  method: ThresholdMethod;
}

/** Thresholds from a user's own photographs, and what they rest on. */
export interface CalibrationEvent {
  kind: "calibration";
  /** For the score: {@link Query.threshold}. */
  image: FoundThreshold;
  /** For the map: {@link Query.mapThreshold}. */
  pixel: FoundThreshold;
  /** The model's own thresholds. */
  own: { image: number; pixel: number };
  /** Photographs of good parts, of defective ones, and those that could not be used. */
  nGood: number;
  nDefective: number;
  nSkipped: number;
  scores: Scored[];
}

/** What `calibrate` yields: an event for each photograph, then the thresholds, then `done`. */
export type CalibrateEvent = ScoredEvent | SkippedEvent | CalibrationEvent | DoneEvent;

/** Memory and times of a session, as the engine reports them. */
export interface Report {
  /** Bytes held by the WebAssembly instance. */
  hostBytes: number;
  /** Bytes of weights and buffers on the device, where the engine knows. */
  deviceBytes: number | null;
  /** Stage and milliseconds of the loading. */
  loading: [stage: string, ms: number][];
  /** Stage and milliseconds of the last inspection. */
  timings: [stage: string, ms: number][];
}

/**
 * Page to worker. `id` names the call; `cancel` carries the id of the call to give up, `photo` that
 * of the calibration that wanted it.
 */
export type Request =
  | { kind: "open"; id: number; packageUrl: string; device: DeviceChoice }
  | { kind: "inspect"; id: number; image: Uint8Array<ArrayBuffer>; query: Query }
  | { kind: "ask"; id: number; question: string; generation: Generation }
  | { kind: "calibrate"; id: number; options: CalibrationOptions }
  /** The answer to `wanted`; `null` after the last photograph. */
  | { kind: "photo"; id: number; photo: CalibrationPhoto | null }
  | { kind: "report"; id: number }
  | { kind: "cancel"; id: number };

/**
 * Worker to page. Every request but `cancel` and `photo` ends in `finished` or `failed`, unless the engine goes
 * down: then `crashed` speaks for all of them.
 */
export type Reply =
  | { kind: "event"; id: number; event: InspectEvent | CalibrateEvent }
  /** The calibration is ready for its next photograph. */
  | { kind: "wanted"; id: number }
  | { kind: "opened"; id: number; device: DeviceInfo }
  | { kind: "reported"; id: number; report: Report }
  | { kind: "finished"; id: number }
  | { kind: "failed"; id: number; code: ErrorCode; message: string }
  | { kind: "crashed"; message: string };
