/** The inspector and the worker's side of the protocol, connected without a worker. */
import { describe, expect, test } from "vitest";
import { toVmadError, VmadError } from "../../www/lib/public/errors.js";
import { Inspector, type WorkerLike } from "../../www/lib/public/inspector.js";
import type { Reply, Request } from "../../www/lib/internal/protocol.js";
import { serve } from "../../www/lib/internal/serve.js";
import type { CalibrateEvent, InspectEvent, ProgressEvent } from "../../www/lib/public/types.js";
import { type FakeModule, fakeEngine } from "./fake/engine.js";

const PACKAGE = "http://localhost/models/fake";
/** With this package the warm-up of the fake engine runs until it is cancelled. */
const COLD = "http://localhost/models/cold";
/** For the fake engine, the first two bytes are width and height. */
const PHOTO = new Uint8Array([16, 12, 0]).buffer;

/** A worker in name only; messages are cloned and arrive later, as between threads. */
class Loopback implements WorkerLike {
  readonly warmUps: () => number;
  onmessage: ((message: MessageEvent<Reply>) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  readonly requests: Request[] = [];
  isTerminated = false;
  readonly #handle: (request: Request) => void;

  constructor(engine: FakeModule) {
    this.warmUps = engine.warmUps;
    this.#handle = serve(
      () => Promise.resolve(engine),
      (reply, transfer) => {
        const data = structuredClone(reply, { transfer });
        setTimeout(() => {
          if (!this.isTerminated) this.onmessage?.({ data } as MessageEvent<Reply>);
        });
      },
    );
  }

  postMessage(request: Request, transfer: Transferable[]): void {
    const data = structuredClone(request, { transfer });
    this.requests.push(data);
    setTimeout(() => {
      if (!this.isTerminated) this.#handle(data);
    });
  }

  terminate(): void {
    this.isTerminated = true;
  }
}

function openFake(options: Partial<Parameters<typeof Inspector.open>[0]> = {}): {
  opening: Promise<Inspector>;
  workers: Loopback[];
} {
  const workers: Loopback[] = [];
  const opening = Inspector.open({
    packageUrl: PACKAGE,
    createWorker: () => {
      const worker = new Loopback(fakeEngine());
      workers.push(worker);
      return worker;
    },
    ...options,
  });
  return { opening, workers };
}

async function collect<E extends InspectEvent | CalibrateEvent>(
  events: AsyncIterable<E>,
): Promise<E[]> {
  const all: E[] = [];
  for await (const event of events) all.push(event);
  return all;
}

function text(events: InspectEvent[]): string {
  return events.map((event) => (event.kind === "token" ? event.text : "")).join("");
}

describe("warming up", () => {
  test("ends when a call begins", async () => {
    const inspector = await openFake({ packageUrl: COLD }).opening;
    const events = await collect(inspector.inspect(PHOTO, { ask: "none" }));
    expect(events.at(-1)).toEqual({ kind: "done", reason: "end" });
    expect(events.some((event) => event.kind === "result")).toBe(true);
  });

  test("runs again after a report, and not after an inspection", async () => {
    const { opening, workers } = openFake({ packageUrl: COLD });
    const inspector = await opening;
    await inspector.report();
    await inspector.report();
    const nWarmUps = () => workers[0]?.warmUps() ?? 0;
    expect(nWarmUps()).toBe(3);
    await collect(inspector.inspect(PHOTO, { ask: "none" }));
    await inspector.report();
    expect(nWarmUps()).toBe(3);
  });

  test("a call that is cancelled while it waits for its end never starts", async () => {
    const inspector = await openFake({ packageUrl: COLD }).opening;
    const abort = new AbortController();
    const running = collect(inspector.inspect(PHOTO, {}, { signal: abort.signal }));
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
    abort.abort();
    const events = await running;
    expect(events.at(-1)).toEqual({ kind: "done", reason: "cancelled" });
    expect(events.some((event) => event.kind === "result")).toBe(false);
    const again = await collect(inspector.inspect(PHOTO, { ask: "none" }));
    expect(again.at(-1)).toEqual({ kind: "done", reason: "end" });
  });
});

describe("opening", () => {
  test("reports progress and the device", async () => {
    const seen: ProgressEvent[] = [];
    const { opening, workers } = openFake({ onProgress: (event) => seen.push(event) });
    const inspector = await opening;
    expect(inspector.device.reason).toBe("software-gpu");
    expect(seen.at(-1)).toMatchObject({ stage: "weights", done: 14_200_000, total: 14_200_000 });
    expect(workers[0]?.requests[0]).toMatchObject({ packageUrl: `${PACKAGE}/`, device: "auto" });
  });

  test.for([
    ["package-missing", { packageUrl: "http://localhost/missing" }],
    ["no-gpu", { device: "gpu" }],
  ] as const)("fails with %s and leaves no worker behind", async ([code, options]) => {
    const { opening, workers } = openFake(options);
    await expect(opening).rejects.toMatchObject({ name: "VmadError", code });
    expect(workers[0]?.isTerminated).toBe(true);
  });

  test("can be cancelled, before and while it runs", async () => {
    const aborted = openFake({ signal: AbortSignal.abort() });
    await expect(aborted.opening).rejects.toMatchObject({ code: "cancelled" });
    expect(aborted.workers).toHaveLength(0);
    const controller = new AbortController();
    const { opening, workers } = openFake({
      signal: controller.signal,
      onProgress: () => {
        controller.abort();
      },
    });
    await expect(opening).rejects.toMatchObject({ code: "cancelled" });
    expect(workers[0]?.isTerminated).toBe(true);
  });
});

describe("inspecting", () => {
  test("yields progress, mask, tokens, result and done, in this order", async () => {
    const inspector = await openFake().opening;
    const events = await collect(inspector.inspect(PHOTO));
    const kinds = events.map(({ kind }) => kind).filter((kind, i, all) => kind !== all[i - 1]);
    expect(kinds).toEqual(["progress", "mask", "token", "result", "done"]);
    const mask = events.find((event) => event.kind === "mask");
    expect(mask?.map).toHaveLength(16 * 12);
    const result = events.find((event) => event.kind === "result");
    expect(text(events)).toBe(result?.answer);
    expect(PHOTO.byteLength).toBe(3);
  });

  test("takes a blob and refuses what is no image", async () => {
    const inspector = await openFake().opening;
    const events = await collect(inspector.inspect(new Blob([PHOTO])));
    expect(events.at(-1)).toEqual({ kind: "done", reason: "end" });
    await expect(collect(inspector.inspect(new ArrayBuffer(1)))).rejects.toMatchObject({
      code: "not-an-image",
    });
    expect(text(await collect(inspector.ask("and now?")))).toContain("under load");
  });

  test("answers calls one after the other", async () => {
    const inspector = await openFake().opening;
    const [first, second] = await Promise.all([
      collect(inspector.inspect(PHOTO)),
      collect(inspector.ask("and then?")),
    ]);
    expect(first.at(-1)).toEqual({ kind: "done", reason: "end" });
    expect(text(second)).toContain("under load");
  });
});

/** Photographs whose number is their score above 0.2, in hundredths. */
function parts(...numbers: number[]): File[] {
  return numbers.map((number) => new File([PHOTO], `part-${number}.png`));
}

describe("calibrating", () => {
  test("scores each photograph, then yields the thresholds", async () => {
    const inspector = await openFake().opening;
    const photos = [...parts(3, 1, 2), new Blob([PHOTO])];
    const events = await collect(inspector.calibrate(photos, { quantile: 0.5, object: "bolt" }));
    expect(events.map(({ kind }) => kind)).toEqual([
      "scored",
      "scored",
      "scored",
      "scored",
      "calibration",
      "done",
    ]);
    const names = events.flatMap((event) => (event.kind === "scored" ? event.name : []));
    expect(names).toEqual(["part-3.png", "part-1.png", "part-2.png", "photograph 4"]);
    const calibration = events.find((event) => event.kind === "calibration");
    expect(calibration).toMatchObject({ nGood: 4, nDefective: 0, nSkipped: 0 });
    expect(calibration?.image.method).toMatchObject({
      kind: "quantile",
      asked: 0.5,
      promised: 0.6,
    });
  });

  test("asks for one photograph at a time, and for labels by their place", async () => {
    const { opening, workers } = openFake();
    const inspector = await opening;
    let nTaken = 0;
    async function* photos(): AsyncGenerator<File> {
      for (const part of parts(1, 2, 3)) {
        await Promise.resolve();
        nTaken += 1;
        yield part;
      }
    }
    const labels = ["good", "defective"] as const;
    let nScored = 0;
    for await (const event of inspector.calibrate(photos(), { labels })) {
      if (event.kind !== "scored") continue;
      nScored += 1;
      expect(event.defective).toBe(nScored === 2);
      // The next one may be under way, and no other.
      expect(nTaken - nScored).toBeLessThanOrEqual(1);
    }
    const sent = workers[0]?.requests.filter(({ kind }) => kind === "photo");
    expect(sent).toHaveLength(4);
    expect(sent?.at(-1)).toMatchObject({ photo: null });
  });

  test("leaves out what cannot be read or is no photograph", async () => {
    const inspector = await openFake().opening;
    const gone = Object.assign(new File([PHOTO], "gone-1.png"), {
      arrayBuffer: () => Promise.reject(new DOMException("moved", "NotFoundError")),
    });
    const photos = [gone, new File(["x"], "notes.png"), ...parts(5)];
    const events = await collect(inspector.calibrate(photos));
    expect(events.map(({ kind }) => kind)).toEqual([
      "skipped",
      "skipped",
      "scored",
      "calibration",
      "done",
    ]);
    expect(events[0]).toMatchObject({ name: "gone-1.png" });
    await expect(collect(inspector.calibrate([]))).rejects.toMatchObject({ code: "no-good-part" });
  });

  test("ends when it is cancelled, even while it waits for a photograph", async () => {
    const inspector = await openFake().opening;
    const controller = new AbortController();
    let isReleased = false;
    const endless = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<IteratorResult<File>>(() => undefined),
      }),
    };
    setTimeout(() => {
      controller.abort();
    }, 20);
    expect(await collect(inspector.calibrate(endless, controller))).toEqual([
      { kind: "done", reason: "cancelled" },
    ]);
    function* photos(): Generator<File> {
      try {
        yield* parts(1, 2, 3);
      } finally {
        isReleased = true;
      }
    }
    for await (const event of inspector.calibrate(photos())) {
      if (event.kind === "scored") break;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isReleased).toBe(true);
    const events = await collect(inspector.inspect(PHOTO));
    expect(events.at(-1)).toEqual({ kind: "done", reason: "end" });
  });

  test("fails with the error of its source, and the next call works", async () => {
    const inspector = await openFake().opening;
    function* photos(): Generator<File> {
      yield* parts(1);
      throw new VmadError("network", "the camera is gone");
    }
    await expect(collect(inspector.calibrate(photos()))).rejects.toMatchObject({
      code: "network",
    });
    const events = await collect(inspector.calibrate(parts(1)));
    expect(events.at(-1)).toEqual({ kind: "done", reason: "end" });
  });
});

describe("cancelling", () => {
  test("ends a running call with done, and the next one works", async () => {
    const inspector = await openFake().opening;
    const controller = new AbortController();
    const received: InspectEvent[] = [];
    for await (const event of inspector.inspect(PHOTO, {}, controller)) {
      received.push(event);
      controller.abort();
    }
    expect(received.at(-1)).toEqual({ kind: "done", reason: "cancelled" });
    expect(received.some(({ kind }) => kind === "result")).toBe(false);
    const events = await collect(inspector.inspect(PHOTO));
    expect(events.at(-1)).toEqual({ kind: "done", reason: "end" });
  });

  test("reaches a call that waits for its turn", async () => {
    const { opening } = openFake();
    const inspector = await opening;
    const controller = new AbortController();
    const running = collect(inspector.inspect(PHOTO));
    const waiting = collect(inspector.inspect(PHOTO, {}, controller));
    controller.abort();
    expect((await running).at(-1)).toEqual({ kind: "done", reason: "end" });
    expect(await waiting).toEqual([{ kind: "done", reason: "cancelled" }]);
  });

  test("leaving the loop cancels the call", async () => {
    const { opening, workers } = openFake();
    const inspector = await opening;
    await collect(inspector.inspect(PHOTO));
    for await (const event of inspector.ask("talk")) {
      if (event.kind === "token") break;
    }
    expect(workers[0]?.requests.at(-1)?.kind).toBe("cancel");
    expect(text(await collect(inspector.ask("and now?")))).toContain("under load");
  });
});

describe("failing", () => {
  test("a question before any photograph and one too long have their codes", async () => {
    const inspector = await openFake().opening;
    await expect(collect(inspector.ask("what?"))).rejects.toMatchObject({ code: "no-image" });
    await collect(inspector.inspect(PHOTO));
    await expect(collect(inspector.ask("too long"))).rejects.toMatchObject({
      code: "question-too-long",
      fatal: false,
    });
  });

  test("after a trap a new worker starts and inspects the photograph again", async () => {
    const { opening, workers } = openFake();
    const inspector = await opening;
    await collect(inspector.inspect(PHOTO));
    await expect(collect(inspector.ask("trap"))).rejects.toMatchObject({
      code: "crashed",
      fatal: true,
    });
    expect(workers[0]?.isTerminated).toBe(true);
    expect(text(await collect(inspector.ask("and now?")))).toContain("under load");
    expect(workers).toHaveLength(2);
    expect(workers[1]?.requests.map(({ kind }) => kind)).toEqual(["open", "inspect", "ask"]);
  });

  test("a worker that dies fails every call that waits", async () => {
    const { opening, workers } = openFake();
    const inspector = await opening;
    const running = collect(inspector.inspect(PHOTO));
    const waiting = collect(inspector.inspect(PHOTO));
    setTimeout(() => {
      workers[0]?.onmessage?.({
        data: { kind: "crashed", message: "unreachable" },
      } as MessageEvent<Reply>);
    });
    await expect(running).rejects.toMatchObject({ code: "crashed" });
    await expect(waiting).rejects.toMatchObject({ code: "crashed" });
  });

  test("closing fails what runs and refuses what comes", async () => {
    const { opening, workers } = openFake();
    const inspector = await opening;
    const running = collect(inspector.inspect(PHOTO));
    setTimeout(() => {
      inspector.close();
    }, 2);
    await expect(running).rejects.toMatchObject({ code: "closed" });
    expect(workers[0]?.isTerminated).toBe(true);
    await expect(inspector.report()).rejects.toMatchObject({ code: "closed" });
  });
});

test("thrown values become errors with a code", () => {
  for (const [thrown, code] of [
    [{ code: "package-damaged", message: "shard 1" }, "package-damaged"],
    [{ code: "no-such-code", message: "?" }, "internal"],
    [new WebAssembly.RuntimeError("unreachable"), "crashed"],
    [new RangeError("WebAssembly.Memory.grow(): out of memory"), "out-of-memory"],
    ["text", "internal"],
    [new VmadError("closed", "gone"), "closed"],
  ] as const) {
    expect(toVmadError(thrown).code).toBe(code);
  }
});
