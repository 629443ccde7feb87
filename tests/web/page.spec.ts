/** The production build with the real engine and a real photograph. */
import { expect, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  canvasImage,
  choosePhoto,
  open,
  outlinePixels,
  slide,
  test,
  waitUntilIdle,
} from "./visit.js";

/** The part of WebGPU that the tests use; the DOM types do not include it. */
interface GpuScope {
  GPUAdapter: {
    prototype: { requestDevice: (...args: unknown[]) => Promise<GpuScope["recordedDevice"]> };
  };
  recordedDevice:
    { createBuffer: (descriptor: { size: number; usage: number }) => void } | undefined;
}

test("a photograph gets a score, a mask and an answer", async ({ page }, info) => {
  const foreign: string[] = [];
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && origin !== new URL(info.project.use.baseURL ?? "").origin) {
      foreign.push(request.url());
    }
  });
  await open(page);
  // Not a photograph of a part, so the model has something to mark.
  await choosePhoto(page, "coffee.jpg");
  await expect(page.locator("#score")).toHaveText(/^[01]\.\d{3}$/);
  await waitUntilIdle(page);
  await expect(page.locator("#verdict")).toHaveAttribute("data-state", /^(ok|bad)$/);
  await expect(page.locator("#verdict-word")).toHaveText(/^(OK|Not OK)$/);
  await expect(page.locator(".answered")).not.toBeEmpty();
  await expect(page.locator(".answered")).toHaveAttribute("aria-busy", "false");
  await expect(page.locator("#view")).toBeVisible();
  expect(await page.locator("#timings tr").count()).toBeGreaterThan(3);
  await slide(page, "#opacity", 0);
  const bare = await canvasImage(page);
  await slide(page, "#opacity", 100);
  expect(await canvasImage(page)).not.toBe(bare);
  expect(foreign).toEqual([]);
  await page.screenshot({ path: info.outputPath("result.png"), fullPage: true });
});

test("what the user allows is no defect", async ({ page }) => {
  await open(page);
  const pair = page.getByRole("group", { name: "Tablet with a rubbed area" });
  for (const [name, verdict, words] of [
    ["Abrasions are allowed", "OK", "No defect is visible."],
    ["No abrasions", "Not OK", "abrasion"],
  ] as const) {
    await pair.getByRole("button", { name, exact: true }).click();
    await waitUntilIdle(page);
    await expect(page.locator("#verdict-word")).toHaveText(verdict);
    await expect(page.locator(".answered").last()).toContainText(words);
  }
});

test("an inspection is stopped half-way, and the session stays usable", async ({ page }) => {
  await recordEvents(page);
  await open(page);
  await choosePhoto(page, "coffee.jpg");
  await waitUntilIdle(page);
  const score = await page.locator("#score").textContent();

  // The page itself presses Stop as soon as CLIP runs: a click from here could come after the end.
  await slowDown(page);
  await page.evaluate(() => {
    const text = document.querySelector("#run-text");
    const observer = new MutationObserver(() => {
      if (text?.textContent !== "Looking at the photograph…") return;
      observer.disconnect();
      document.querySelector<HTMLElement>("#run-stop")?.click();
    });
    if (text) observer.observe(text, { childList: true, characterData: true, subtree: true });
  });
  const before = (await recordedEvents(page)).length;
  await page.locator("#inspect").click();
  await expect(page.locator("#verdict-word")).toHaveText("Stopped");
  await waitUntilIdle(page);
  const events = (await recordedEvents(page)).slice(before);
  expect(events).toContain("progress clip");
  expect(events.at(-1)).toBe("done cancelled");
  expect(events.filter((event) => /^(mask|token|result)/.test(event))).toEqual([]);
  await expect(page.locator("#verdict")).toHaveAttribute("data-state", "empty");
  await expect(page.locator("#score")).toBeHidden();
  await expect(page.locator("#view")).toBeHidden();
  await expect(page.locator("#send")).toBeDisabled();

  await page.locator("#inspect").click();
  await waitUntilIdle(page);
  await expect(page.locator("#score")).toHaveText(score ?? "");
  await expect(page.locator(".answered")).not.toBeEmpty();
});

test("an answer streams, can be stopped half-way and is followed by another", async ({ page }) => {
  await recordEvents(page);
  await open(page);
  await choosePhoto(page, "coffee.jpg");
  await waitUntilIdle(page);
  const answers = page.locator(".answered");
  const whole = (await answers.last().textContent()) ?? "";
  const nTokens = (await recordedEvents(page)).filter((event) => event === "token").length;
  expect(nTokens).toBeGreaterThan(4);

  // The page itself presses Stop at the first token.
  await slowDown(page);
  await page.evaluate(() => {
    const log = document.querySelector("#log");
    const observer = new MutationObserver(() => {
      if (!document.querySelector(".answered")?.textContent) return;
      observer.disconnect();
      document.querySelector<HTMLElement>("#stop")?.click();
    });
    if (log) observer.observe(log, { childList: true, characterData: true, subtree: true });
  });
  const before = (await recordedEvents(page)).length;
  await page.locator("#inspect").click();
  await expect(answers.last()).toContainText("Stopped.");
  await waitUntilIdle(page);
  const events = (await recordedEvents(page)).slice(before);
  expect(events.at(-1)).toBe("done cancelled");
  expect(events.filter((event) => event === "token").length).toBeLessThan(nTokens);
  const part = ((await answers.last().textContent()) ?? "").replace("Stopped.", "").trim();
  expect(part.length).toBeGreaterThan(0);
  expect(part.length).toBeLessThan(whole.length);
  expect(whole.startsWith(part)).toBe(true);

  await page.locator("#question").fill("Describe the part in the photograph.");
  await page.locator("#send").click();
  await waitUntilIdle(page);
  await expect(answers).toHaveCount(2);
  await expect(answers.last()).not.toBeEmpty();
  await expect(answers.last()).not.toContainText("Stopped.");
});

test("thresholds are live", async ({ page }) => {
  await open(page);
  await choosePhoto(page, "coffee.jpg");
  await waitUntilIdle(page);
  await slide(page, "#threshold", 0);
  await expect(page.locator("#verdict-word")).toHaveText("Not OK");
  await slide(page, "#threshold", 1);
  await expect(page.locator("#verdict-word")).toHaveText("OK");
  // Just below the highest peak there is always an outline.
  await slide(page, "#map-threshold", 0);
  const peak = Number(await page.locator("#regions td").nth(1).textContent());
  await slide(page, "#map-threshold", peak * 0.9);
  expect(await outlinePixels(page)).toBeGreaterThan(0);
  await slide(page, "#map-threshold", 1);
  expect(await outlinePixels(page)).toBe(0);
});

test("a file that is no photograph is refused and the next one works", async ({ page }) => {
  await open(page);
  await page.setInputFiles("#file", {
    name: "notes.txt",
    mimeType: "text/plain",
    buffer: Buffer.from("These are notes, not a photograph."),
  });
  await expect(page.locator("#notice-title")).toHaveText(
    "This file is not an image that can be read.",
  );
  await choosePhoto(page, "gravel.webp");
  await waitUntilIdle(page);
  await expect(page.locator("#score")).toBeVisible();
  await expect(page.locator("#notice")).toBeHidden();
});

/** A whole JPEG; its last two bytes are the end-of-image marker. */
const ROCKET = readFileSync(resolve(import.meta.dirname, "../photos/rocket.jpg"));

for (const [name, buffer] of [
  ["cut to a third", ROCKET.subarray(0, ROCKET.length / 3)],
  ["without its end marker", ROCKET.subarray(0, -2)],
] as const) {
  test(`a photograph ${name} is refused as damaged, and the session goes on`, async ({ page }) => {
    await open(page);
    await page.setInputFiles("#file", { name: "cut.jpg", mimeType: "image/jpeg", buffer });
    await expect(page.locator("#notice")).toHaveAttribute("data-code", "image-damaged");
    await expect(page.locator("#score")).toBeHidden();
    await expect(page.locator("#verdict")).toHaveAttribute("data-state", "empty");
    await choosePhoto(page, "rocket.jpg");
    await waitUntilIdle(page);
    await expect(page.locator("#score")).toBeVisible();
    await expect(page.locator("#notice")).toBeHidden();
  });
}

test("a photograph with bytes behind its end marker is inspected", async ({ page }) => {
  await open(page);
  const scores: (string | null)[] = [];
  for (const buffer of [ROCKET, Buffer.concat([ROCKET, Buffer.alloc(1000)])]) {
    await page.setInputFiles("#file", { name: "rocket.jpg", mimeType: "image/jpeg", buffer });
    await waitUntilIdle(page);
    await expect(page.locator("#notice")).toBeHidden();
    scores.push(await page.locator("#score").textContent());
  }
  expect(scores[1]).toBe(scores[0]);
});

test("an overlong question is refused and can be shortened", async ({ page }) => {
  await open(page);
  await choosePhoto(page, "coins.png");
  await waitUntilIdle(page);
  await page.locator("#question").fill("why ".repeat(25_000));
  await page.locator("#send").click();
  await expect(page.locator("#notice")).toHaveAttribute("data-code", "question-too-long");
  await page.locator("#question").fill("Is there a defect?");
  await page.locator("#send").click();
  await waitUntilIdle(page);
  await expect(page.locator(".answered")).toHaveCount(2);
});

test("a missing shard is named and can be loaded again", async ({ page }) => {
  let isMissing = true;
  await page.route("**/*.safetensors", async (route) => {
    if (isMissing) await route.fulfill({ status: 404 });
    else await route.continue();
  });
  await page.goto("./");
  await expect(page.locator("#notice")).toHaveAttribute("data-code", "package-missing");
  await page.locator("#notice-details summary").click();
  await expect(page.locator("#notice-detail")).toContainText("safetensors");
  isMissing = false;
  await page.locator("#notice-action").click();
  await expect(page.locator("#device-line")).toContainText("Ready on");
});

test("a lost connection is reported as such", async ({ page }) => {
  await page.route("**/*.safetensors", (route) => route.abort());
  await page.goto("./");
  await expect(page.locator("#notice")).toHaveAttribute("data-code", "network");
});

test("an altered shard is not used", async ({ page }) => {
  await page.route("**/*.safetensors", async (route) => {
    const response = await route.fetch();
    const body = await response.body();
    const last = body.length - 1;
    body.writeUInt8(body.readUInt8(last) ^ 1, last);
    await route.fulfill({ response, body });
  });
  await page.goto("./");
  await expect(page.locator("#notice")).toHaveAttribute("data-code", "package-damaged");
});

test("a package of an unknown version is refused", async ({ page }) => {
  await page.route("**/model.json", async (route) => {
    const response = await route.fetch();
    const manifest = (await response.json()) as Record<string, unknown>;
    await route.fulfill({ response, json: { ...manifest, version: 999 } });
  });
  await page.goto("./");
  await expect(page.locator("#notice")).toHaveAttribute("data-code", "package-version");
});

test("photographs of good parts set the threshold", async ({ page }) => {
  await open(page, "?model=nano");
  await page.locator("#object").fill("coin");
  await page.locator("#calibration summary").click();
  const photos = ["coins.png", "brick.png", "gravel.webp"];
  await page.setInputFiles(
    "#good-files",
    photos.map((name) => resolve(import.meta.dirname, "../photos", name)),
  );
  await page.locator("#calibration-start").click();
  await expect(page.locator("#calibration-summary")).toContainText("from 3 good parts");
  await page.locator("#calibration-use").click();
  await choosePhoto(page, "coins.png");
  await waitUntilIdle(page);
  // So few photographs put the threshold above the highest of their scores.
  await expect(page.locator("#verdict-word")).toHaveText("OK");
  await expect(page.locator("#verdict-reason")).toContainText("from 3 good parts of “coin”");
  await expect(page.locator("#regions tr")).toHaveCount(0);
});

test("software WebGPU is used only when asked for, until it refuses something", async ({
  page,
}) => {
  await runInWorkers(page, recordDevice);
  await open(page, "?model=nano");
  await expect(page.locator("#device-line")).toHaveAttribute("data-device", "cpu");
  await page.locator("#device").selectOption("gpu");
  await expectGpu(page);
  await choosePhoto(page, "coins.png");
  await waitUntilIdle(page);
  await expect(page.locator("#score")).toBeVisible();

  // Requests more memory than there is; the GPU process reports that after the call.
  for (const worker of page.workers()) await worker.evaluate(exhaustMemory);
  await page.locator("#inspect").click();
  await expect(page.locator("#notice-title")).toHaveText("The GPU stopped answering.");
  await page.locator("#notice-action").click();
  await expect(page.locator("#device-line")).toHaveAttribute("data-device", "cpu");
});

test("a conversation on software WebGPU goes on after answers that have ended", async ({
  page,
}) => {
  await open(page);
  await page.locator("#device").selectOption("gpu");
  await expectGpu(page);
  await choosePhoto(page, "coins.png");
  await waitUntilIdle(page);
  for (const question of ["Where is the defect?", "What could have caused it?"]) {
    await page.locator("#question").fill(question);
    await page.locator("#question").press("Enter");
    await waitUntilIdle(page);
    await expect(page.locator(".answered").last()).toHaveAttribute("aria-busy", "false");
    await expect(page.locator(".answered").last()).not.toBeEmpty();
  }
  await expect(page.locator(".answered")).toHaveCount(3);
  await expectGpu(page);
});

/** Waits until the GPU is in use. An emulated GPU compiles the pipelines of the self-test for half a minute. */
async function expectGpu(page: Page): Promise<void> {
  test.slow();
  const line = page.locator("#device-line");
  await expect(line).toHaveAttribute("data-device", "gpu", { timeout: 90_000 });
}

/** Runs a function in every worker of the page before the worker's own script. */
async function runInWorkers(page: Page, first: () => void): Promise<void> {
  await page.route(/\/worker-[^/]*\.js$/u, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `(${String(first)})();\n${await response.text()}` });
  });
}

/** In a worker: records the device that it will request. */
function recordDevice(): void {
  const scope = globalThis as unknown as GpuScope;
  const { prototype } = scope.GPUAdapter;
  const requestDevice = prototype.requestDevice;
  prototype.requestDevice = async function (this: unknown, ...args: unknown[]) {
    scope.recordedDevice = await requestDevice.apply(this, args);
    return scope.recordedDevice;
  };
}

/** In that worker: requests a buffer larger than any device has memory. */
function exhaustMemory(): void {
  const scope = globalThis as unknown as GpuScope;
  if (!scope.recordedDevice) throw new Error("the worker has requested no device");
  scope.recordedDevice.createBuffer({ size: 2 ** 44, usage: 128 });
}

/** Lets the worker wait after each event, so that the page reacts before the next one. */
async function slowDown(page: Page): Promise<void> {
  for (const worker of page.workers()) {
    await worker.evaluate(() => {
      const scope = globalThis as unknown as { postMessage: (...args: unknown[]) => void };
      const post = scope.postMessage.bind(globalThis);
      scope.postMessage = (...args) => {
        post(...args);
        const end = performance.now() + 100;
        while (performance.now() < end);
      };
    });
  }
}

/** Records the engine's events as they arrive from the worker; before the page is opened. */
async function recordEvents(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const events: string[] = [];
    Object.assign(globalThis, { engineEvents: events });
    const Original = Worker;
    globalThis.Worker = class extends Original {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(url, options);
        this.addEventListener("message", ({ data }: MessageEvent<EngineMessage>) => {
          const { event } = data;
          if (event) events.push([event.kind, event.stage ?? event.reason].join(" ").trim());
        });
      }
    };
  });
}

/** The part of a worker's message that {@link recordEvents} reads. */
interface EngineMessage {
  event?: { kind: string; stage?: string; reason?: string };
}

/** The recorded events: kind and, where there is one, stage or reason. */
async function recordedEvents(page: Page): Promise<string[]> {
  return page.evaluate(() => (globalThis as unknown as { engineEvents: string[] }).engineEvents);
}
