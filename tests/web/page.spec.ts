/** The production build with the real engine and a real photograph. */
import { expect, type Page, test } from "@playwright/test";
import { resolve } from "node:path";
import { canvasImage, choosePhoto, open, outlinePixels, settle, slide } from "./visit.js";

/** What the tests take of WebGPU, whose types are not among the DOM's. */
interface GpuScope {
  GPUAdapter: { prototype: { requestDevice: (...given: unknown[]) => Promise<GpuScope["kept"]> } };
  kept: { createBuffer: (descriptor: { size: number; usage: number }) => void } | undefined;
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
  // Not a part at all, so that the model has something to mark.
  await choosePhoto(page, "coffee.jpg");
  await expect(page.locator("#score")).toHaveText(/^[01]\.\d{3}$/);
  await settle(page);
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
    await settle(page);
    await expect(page.locator("#verdict-word")).toHaveText(verdict);
    await expect(page.locator(".answered").last()).toContainText(words);
  }
});

test("the answer streams, and can be stopped and followed up", async ({ page }) => {
  await open(page);
  await choosePhoto(page, "coffee.jpg");
  await settle(page);
  await page.locator("#question").fill("Describe the part in the photograph.");
  await page.locator("#send").click();
  await settle(page);
  await expect(page.locator(".answered")).toHaveCount(2);
  // Both in one task: an inspection may have come to its end before a second click arrives.
  await page.evaluate(() => {
    document.querySelector<HTMLElement>("#inspect")?.click();
    document.querySelector<HTMLElement>("#run-stop")?.click();
  });
  await settle(page);
  await page.locator("#inspect").click();
  await settle(page);
  await expect(page.locator("#score")).toBeVisible();
});

test("thresholds are live", async ({ page }) => {
  await open(page);
  await choosePhoto(page, "coffee.jpg");
  await settle(page);
  await slide(page, "#threshold", 0);
  await expect(page.locator("#verdict-word")).toHaveText("Not OK");
  await slide(page, "#threshold", 1);
  await expect(page.locator("#verdict-word")).toHaveText("OK");
  // Half way up to the highest peak there is always an outline.
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
  await settle(page);
  await expect(page.locator("#score")).toBeVisible();
  await expect(page.locator("#notice")).toBeHidden();
});

test("a truncated photograph is refused or inspected, and the session goes on", async ({
  page,
}) => {
  await open(page);
  const { readFileSync } = await import("node:fs");
  const whole = readFileSync(new URL("../photos/rocket.jpg", import.meta.url));
  await page.setInputFiles("#file", {
    name: "cut.jpg",
    mimeType: "image/jpeg",
    buffer: whole.subarray(0, whole.length / 3),
  });
  await expect(page.locator("#notice[data-code='image-damaged'], #score:visible")).toBeVisible();
  await choosePhoto(page, "rocket.jpg");
  await settle(page);
  await expect(page.locator("#score")).toBeVisible();
});

test("an overlong question is refused and can be shortened", async ({ page }) => {
  await open(page);
  await choosePhoto(page, "coins.png");
  await settle(page);
  await page.locator("#question").fill("why ".repeat(25_000));
  await page.locator("#send").click();
  await expect(page.locator("#notice")).toHaveAttribute("data-code", "question-too-long");
  await page.locator("#question").fill("Is there a defect?");
  await page.locator("#send").click();
  await settle(page);
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

test("a lost connection is told apart", async ({ page }) => {
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
  await settle(page);
  // So few photographs put the threshold above the highest of their scores.
  await expect(page.locator("#verdict-word")).toHaveText("OK");
  await expect(page.locator("#verdict-reason")).toContainText("from 3 good parts of “coin”");
  await expect(page.locator("#regions tr")).toHaveCount(0);
});

test("software WebGPU is used only when asked for, until it refuses something", async ({
  page,
}) => {
  await open(page, "?model=nano");
  await expect(page.locator("#device-line")).toHaveAttribute("data-device", "cpu");
  page.on("worker", (worker) => void worker.evaluate(keepDevice));
  await page.locator("#device").selectOption("gpu");
  await isOnGpu(page);
  await choosePhoto(page, "coins.png");
  await settle(page);
  await expect(page.locator("#score")).toBeVisible();

  // More memory than there is, which the GPU's process tells after the call.
  for (const worker of page.workers()) await worker.evaluate(exhaust);
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
  await isOnGpu(page);
  await choosePhoto(page, "coins.png");
  await settle(page);
  for (const question of ["Where is the defect?", "What could have caused it?"]) {
    await page.locator("#question").fill(question);
    await page.locator("#question").press("Enter");
    await settle(page);
    await expect(page.locator(".answered").last()).toHaveAttribute("aria-busy", "false");
    await expect(page.locator(".answered").last()).not.toBeEmpty();
  }
  await expect(page.locator(".answered")).toHaveCount(3);
  await isOnGpu(page);
});

/** An emulated GPU takes half a minute to compile what its self-test runs. */
async function isOnGpu(page: Page): Promise<void> {
  test.slow();
  const line = page.locator("#device-line");
  await expect(line).toHaveAttribute("data-device", "gpu", { timeout: 90_000 });
}

/** In a worker: keeps the device that it will ask for. */
function keepDevice(): void {
  const scope = globalThis as unknown as GpuScope;
  const { prototype } = scope.GPUAdapter;
  const ask = prototype.requestDevice;
  prototype.requestDevice = async function (this: unknown, ...given: unknown[]) {
    scope.kept = await ask.apply(this, given);
    return scope.kept;
  };
}

/** In that worker: asks the device for a buffer larger than any. */
function exhaust(): void {
  const scope = globalThis as unknown as GpuScope;
  scope.kept?.createBuffer({ size: 2 ** 44, usage: 128 });
}
