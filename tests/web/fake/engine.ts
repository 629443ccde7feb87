/**
 * Replaces the wasm module in tests that need an engine with fixed answers, delays or failures. The
 * question selects its behaviour; the map is a bump at a fixed position.
 */
import type {
  EngineModule,
  NextPhoto,
  OnEvent,
  WasmInspector,
} from "../../../www/lib/internal/engine.js";
import type {
  CalibrateEvent,
  CalibrationOptions,
  DeviceInfo,
  Generation,
  Query,
  Report,
  Scored,
} from "../../../www/lib/public/types.js";

const WORDS =
  "A dark scratch runs across the upper right of the part. It interrupts the coating and is deeper than the grain around it.";
const MANY_WORDS = 400;
const MODEL_THRESHOLD = 0.42;
const MODEL_MAP_THRESHOLD = 0.5;

/** Ends the current task, so that messages such as `cancel` are processed. */
function nextTask(ms = 0): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

class FakeInspector implements WasmInspector {
  #isCancelled = false;
  #hasImage = false;
  #isWarmingUp = false;
  readonly #choice: string;
  readonly #pauseMs: number;
  readonly #needsWarmUp: boolean;
  readonly #onWarmUp: () => void;

  constructor(packageUrl: string, choice: string, pauseMs: number, onWarmUp: () => void) {
    this.#onWarmUp = onWarmUp;
    this.#needsWarmUp = packageUrl.includes("cold");
    this.#choice = choice;
    this.#pauseMs = pauseMs;
  }

  async inspect(image: Uint8Array, query: Query, onEvent: OnEvent): Promise<void> {
    if (this.#isWarmingUp) throw failure("internal", "a call is still running");
    this.#isCancelled = false;
    const size = await sizeOf(image);
    const stages = ["decode", "clip", "projector", "llm", "sam", "mask"];
    for (const [done, stage] of stages.entries()) {
      onEvent({ kind: "progress", stage, done, total: stages.length });
      await nextTask(this.#pauseMs);
      if (this.#wasCancelled()) {
        onEvent({ kind: "done", reason: "cancelled" });
        return;
      }
    }
    this.#hasImage = true;
    const peak = query.object === "good part" ? 0.12 : 0.93;
    onEvent({ kind: "mask", ...size, map: bump(size.width, size.height, peak) });
    const answer = query.ask === "none" ? "" : WORDS;
    const finished = await this.#write(answer.split(/(?<= )/), onEvent);
    onEvent({
      kind: "result",
      score: peak - 0.02,
      threshold: query.threshold ?? MODEL_THRESHOLD,
      anomalous: peak - 0.02 >= (query.threshold ?? MODEL_THRESHOLD),
      mapThreshold: query.mapThreshold ?? MODEL_MAP_THRESHOLD,
      regions: [],
      answer,
      segProduced: true,
      device: this.device().name,
      timings: stages.map((stage, index) => [stage, 12.5 * (index + 1)]),
    });
    onEvent({ kind: "done", reason: finished ? "end" : "cancelled" });
  }

  async ask(question: string, _options: Generation, onEvent: OnEvent): Promise<void> {
    this.#isCancelled = false;
    if (!this.#hasImage) throw failure("no-image", "there is no image yet");
    if (question === "trap") throw new WebAssembly.RuntimeError("unreachable");
    if (question === "too long") throw failure("question-too-long", "513 of 512 tokens");
    const words =
      question === "talk"
        ? Array.from({ length: MANY_WORDS }, (_, index) => `word ${index} `)
        : ["It ", "may ", "<b>spread</b>", " under load."];
    const finished = await this.#write(words, onEvent);
    onEvent({ kind: "done", reason: finished ? "end" : "cancelled" });
  }

  /** The number in a photograph's name is its score in hundredths above 0.2, or 0.7 if defective. */
  async calibrate(
    next: NextPhoto,
    { quantile = 0.95 }: CalibrationOptions,
    onEvent: OnEvent<CalibrateEvent>,
  ): Promise<void> {
    this.#isCancelled = false;
    const scores: Scored[] = [];
    let nSkipped = 0;
    for (;;) {
      const photo = await next();
      await nextTask(this.#pauseMs);
      if (this.#wasCancelled()) {
        onEvent({ kind: "done", reason: "cancelled" });
        return;
      }
      if (!photo) break;
      const { name, defective } = photo;
      try {
        if (!photo.image) throw new Error(photo.failure);
        await sizeOf(photo.image);
        const hundredths = Number(/\d+/.exec(name)?.[0] ?? 0);
        const score = (defective ? 0.7 : 0.2) + hundredths / 100;
        scores.push({ name, defective, score, peak: score + 0.05 });
        onEvent({ kind: "scored", name, defective, score, peak: score + 0.05 });
      } catch (thrown) {
        nSkipped += 1;
        onEvent({ kind: "skipped", name, code: "not-an-image", message: String(thrown) });
      }
    }
    const good = scores.filter(({ defective }) => !defective).map(({ score }) => score);
    if (good.length === 0) throw failure("no-good-part", "no photograph can be used");
    const rank = Math.min(good.length, Math.ceil((good.length + 1) * quantile - 1e-9));
    const highest = good.sort((a, b) => a - b)[rank - 1] ?? 0;
    const method = {
      kind: "quantile",
      asked: quantile,
      promised: rank / (good.length + 1),
      nNeeded: Math.ceil(quantile / (1 - quantile) - 1e-6),
    } as const;
    const nDefective = scores.length - good.length;
    onEvent({
      kind: "calibration",
      image:
        nDefective > 0
          ? { threshold: 0.7, method: { kind: "f1", f1: 1 } }
          : { threshold: highest + 0.001, method },
      pixel: { threshold: highest + 0.05, method },
      own: { image: MODEL_THRESHOLD, pixel: MODEL_MAP_THRESHOLD },
      nGood: good.length,
      nDefective,
      nSkipped,
      scores,
    });
    onEvent({ kind: "done", reason: "end" });
  }

  /** With the package `cold` it runs until it is cancelled, and one pause longer. */
  async warmUp(): Promise<boolean> {
    if (!this.#needsWarmUp) return false;
    this.#onWarmUp();
    this.#isCancelled = false;
    this.#isWarmingUp = true;
    while (!this.#wasCancelled()) await nextTask(this.#pauseMs);
    await nextTask(this.#pauseMs);
    this.#isWarmingUp = false;
    return true;
  }

  cancel(): void {
    this.#isCancelled = true;
  }

  report(): Report {
    return { hostBytes: 41_000_000, deviceBytes: null, loading: [["weights", 300]], timings: [] };
  }

  device(): DeviceInfo {
    return this.#choice === "cpu"
      ? { kind: "cpu", name: "CPU (WebAssembly SIMD)", reason: "requested", adapter: null }
      : {
          kind: "cpu",
          name: "CPU (WebAssembly SIMD)",
          reason: "software-gpu",
          adapter: "SwiftShader",
        };
  }

  async #write(words: string[], onEvent: OnEvent): Promise<boolean> {
    for (const text of words) {
      if (this.#wasCancelled()) return false;
      onEvent({ kind: "token", text });
      await nextTask(this.#pauseMs / 4);
    }
    return true;
  }

  #wasCancelled(): boolean {
    return this.#isCancelled;
  }
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Size of the image; without a decoder (in Node), the first two bytes are the size. */
async function sizeOf(image: Uint8Array): Promise<{ width: number; height: number }> {
  if (typeof createImageBitmap === "undefined") {
    if (image.length < 2) throw failure("not-an-image", "no known image format");
    return { width: image[0] ?? 1, height: image[1] ?? 1 };
  }
  try {
    const { width, height } = await createImageBitmap(new Blob([image.slice()]));
    return { width, height };
  } catch {
    throw failure("not-an-image", "no known image format");
  }
}

function bump(width: number, height: number, peak: number): Float32Array<ArrayBuffer> {
  const map = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const dx = (x / width - 0.62) * 5 + (y / height - 0.4) * 3;
      const dy = (y / height - 0.4) * 9;
      const second =
        0.7 * Math.exp(-(((x / width - 0.2) * 14) ** 2) - ((y / height - 0.75) * 14) ** 2);
      map[y * width + x] = peak * Math.max(second, Math.exp(-(dx * dx + dy * dy))) + 0.02;
    }
  }
  return map;
}

/** The module, and the number of warm-ups of its inspectors. */
export type FakeModule = EngineModule & { warmUps: () => number };

/** A module with the interface of the generated one; `pauseMs` is the duration of a step. */
export function fakeEngine(pauseMs = 0): FakeModule {
  let warmUps = 0;
  const onWarmUp = (): void => {
    warmUps += 1;
  };
  return {
    warmUps: () => warmUps,
    default: () => Promise.resolve(),
    WasmInspector: {
      async open(packageUrl, device, onEvent) {
        const total = 14_200_000;
        for (let done = 0; done <= total; done += total / 20) {
          onEvent({ kind: "progress", stage: "weights", done: Math.round(done), total });
          await nextTask(pauseMs / 4);
        }
        if (packageUrl.includes("missing")) throw failure("package-missing", "model.json: 404");
        if (device === "gpu") throw failure("no-gpu", "no adapter");
        return new FakeInspector(packageUrl, device, pauseMs, onWarmUp);
      },
    },
  };
}
