/** States that the real engine leaves too quickly or cannot be brought into; with the fake engine. */
import { expect, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import {
  brokenRules,
  canvasImage,
  choosePhoto,
  open,
  outlinePixels,
  slide,
  test,
  waitUntilIdle,
} from "./visit.js";

const verdict = (page: Page) => page.locator("#verdict");

async function inspectPhoto(page: Page): Promise<void> {
  await open(page);
  await choosePhoto(page, "coffee.jpg");
  await waitUntilIdle(page);
}

async function ask(page: Page, question: string): Promise<void> {
  await page.locator("#question").fill(question);
  await page.locator("#question").press("Enter");
}

test("the verdict follows its threshold without another run", async ({ page }) => {
  await inspectPhoto(page);
  await expect(verdict(page)).toHaveAttribute("data-state", "bad");
  await expect(page.locator("#verdict-word")).toHaveText("Not OK");
  await slide(page, "#threshold", 0.95);
  await expect(page.locator("#verdict-word")).toHaveText("OK");
  await expect(page.locator("#verdict-reason")).toContainText("your threshold of 0.950");
  await expect(page.locator("#words-hint")).toContainText("explain the verdict “Not OK”");
  await page.locator("#threshold-reset").click();
  await expect(page.locator("#words-hint")).toBeEmpty();
  await expect(page.locator("#verdict-word")).toHaveText("Not OK");
});

test("outline, regions and heat map follow their sliders", async ({ page }) => {
  await inspectPhoto(page);
  const before = await outlinePixels(page);
  expect(before).toBeGreaterThan(100);
  await expect(page.locator("#regions tr")).toHaveCount(2);
  await slide(page, "#map-threshold", 0.8);
  await expect(page.locator("#regions tr")).toHaveCount(1);
  expect(await outlinePixels(page)).toBeLessThan(before);
  const opaque = await canvasImage(page);
  await slide(page, "#opacity", 10);
  expect(await canvasImage(page)).not.toBe(opaque);
  await page.locator("#show-mask").uncheck();
  expect(await outlinePixels(page)).toBe(0);
});

test("model text is shown as text", async ({ page }) => {
  await inspectPhoto(page);
  await ask(page, "What may it lead to?");
  await expect(page.locator(".answered").last()).toHaveText("It may <b>spread</b> under load.");
  expect(await page.locator(".log b").count()).toBe(0);
});

test("an answer can be stopped and the next one asked", async ({ page }) => {
  await inspectPhoto(page);
  await ask(page, "talk");
  await expect(page.locator(".answered").last()).toContainText("word 3");
  await page.locator("#stop").click();
  await expect(page.locator(".answered").last()).toContainText("Stopped.");
  await ask(page, "What may it lead to?");
  await expect(page.locator(".answered").last()).toContainText("under load");
});

test("an inspection can be stopped", async ({ page }) => {
  await open(page);
  await choosePhoto(page, "coffee.jpg");
  await page.locator("#run-stop").click();
  await expect(page.locator("#verdict-word")).toHaveText("Stopped");
  await page.locator("#inspect").click();
  await expect(verdict(page)).toHaveAttribute("data-state", "bad");
});

test("after a trap the engine restarts", async ({ page }) => {
  await inspectPhoto(page);
  await ask(page, "trap");
  await expect(page.locator("#notice-title")).toHaveText("The engine stopped unexpectedly.");
  // The question is put back so that it need not be typed again.
  await expect(page.locator("#question")).toHaveValue("trap");
  await ask(page, "What may it lead to?");
  await expect(page.locator(".answered").last()).toContainText("under load");
});

test("without a GPU the page offers the CPU", async ({ page }) => {
  await open(page);
  await page.locator("#device").selectOption("gpu");
  await expect(page.locator("#notice-title")).toContainText("No usable GPU");
  await page.locator("#notice-action").click();
  await expect(page.locator("#device-line")).toContainText("as you chose");
  await expect(page.locator("#device")).toHaveValue("cpu");
});

test("a photograph that is too large is refused before it is decoded", async ({ page }) => {
  await open(page);
  const header = Buffer.alloc(64);
  header.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  header.writeUInt32BE(20_000, 16);
  header.writeUInt32BE(20_000, 20);
  await page.setInputFiles("#file", { name: "huge.png", mimeType: "image/png", buffer: header });
  await expect(page.locator("#notice-title")).toHaveText("The image is too large.");
  await expect(page.locator("#verdict")).toHaveAttribute("data-state", "empty");
});

test("a photograph of exactly 64 megapixels passes on to the engine, one more row does not", async ({
  page,
}) => {
  await open(page);
  // No pixels follow the header, so the engine refuses the file, for another reason.
  for (const [height, code] of [
    [8000, "not-an-image"],
    [8001, "image-too-large"],
  ] as const) {
    const header = Buffer.alloc(64);
    header.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    header.writeUInt32BE(8000, 16);
    header.writeUInt32BE(height, 20);
    await page.setInputFiles("#file", { name: "64.png", mimeType: "image/png", buffer: header });
    await expect(page.locator("#notice")).toHaveAttribute("data-code", code);
  }
});

test("a pasted and a dropped photograph are taken", async ({ page }) => {
  await open(page);
  for (const type of ["paste", "drop"]) {
    await page.evaluate(async (eventType) => {
      const canvas = new OffscreenCanvas(60, 40);
      canvas.getContext("2d")?.fillRect(0, 0, 60, 40);
      const data = new DataTransfer();
      data.items.add(new File([await canvas.convertToBlob()], "part.png", { type: "image/png" }));
      const event =
        eventType === "paste"
          ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
          : new DragEvent("drop", { dataTransfer: data, bubbles: true });
      document.querySelector("#photo-area")?.dispatchEvent(event);
    }, type);
    await expect(page.locator("#verdict-word")).toHaveText("Inspecting…");
    await expect(verdict(page)).toHaveAttribute("data-state", "bad");
    await waitUntilIdle(page);
  }
});

test("results are saved with their content", async ({ page }) => {
  await inspectPhoto(page);
  await slide(page, "#threshold", 0.95);
  const files = new Map<string, Buffer>();
  for (const [button, name] of [
    ["#save-mask", "coffee.mask.png"],
    ["#save-heat", "coffee.heatmap.png"],
    ["#save-shown", "coffee.overlay.png"],
    ["#save-json", "coffee.json"],
  ] as const) {
    const saved = page.waitForEvent("download");
    await page.locator(button).click();
    const download = await saved;
    expect(download.suggestedFilename()).toBe(name);
    files.set(name, readFileSync(await download.path()));
  }
  const sizeOf = (name: string): number[] => {
    const header = files.get(name) ?? Buffer.alloc(24);
    expect(header.toString("latin1", 1, 4)).toBe("PNG");
    return [header.readUInt32BE(16), header.readUInt32BE(20)];
  };
  const result = JSON.parse(files.get("coffee.json")?.toString() ?? "") as SavedResult;
  const size = [result.image.width, result.image.height];
  expect(sizeOf("coffee.mask.png")).toEqual(size);
  expect(sizeOf("coffee.heatmap.png")).toEqual(size);
  expect(Math.min(...sizeOf("coffee.overlay.png"))).toBeGreaterThan(0);
  // The threshold of the slider decides, not the one of the result.
  expect(result).toMatchObject({ score: 0.91, threshold: 0.95, anomalous: false });
  expect(result.regions).toHaveLength(2);
  expect(result.conversation[0]?.answer).toContain("A dark scratch");
});

/** The part of a saved result that the test reads. */
interface SavedResult {
  image: { width: number; height: number };
  regions: unknown[];
  conversation: { answer: string }[];
}

for (const [name, use] of Object.entries({
  wide: { viewport: { width: 1280, height: 1000 } },
  narrow: { viewport: { width: 360, height: 780 } },
  dark: { viewport: { width: 1280, height: 1000 }, colorScheme: "dark" as const },
})) {
  test.describe(name, () => {
    test.use(use);

    test("is accessible and fits its width", async ({ page }, info) => {
      await open(page);
      expect(await brokenRules(page)).toEqual([]);
      await choosePhoto(page, "coffee.jpg");
      await waitUntilIdle(page);
      await page.locator("#run-details summary").click();
      expect(await brokenRules(page)).toEqual([]);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      expect(width).toBeLessThanOrEqual(use.viewport.width);
      await page.screenshot({ path: info.outputPath(`${name}.png`), fullPage: true });
      await page.locator("#object").fill("good part");
      await page.locator("#inspect").click();
      await expect(verdict(page)).toHaveAttribute("data-state", "ok");
      expect(await brokenRules(page)).toEqual([]);
    });
  });
}

test("everything can be reached with the keyboard", async ({ page }) => {
  await inspectPhoto(page);
  const wanted = new Set([
    "device",
    "choose",
    "shoot",
    "show-heat",
    "opacity",
    "map-threshold",
    "object",
    "normal",
    "ask",
    "inspect",
    "threshold",
    "question",
    "send",
    "save-json",
  ]);
  await page.evaluate(() => {
    document.body.tabIndex = -1;
    document.body.focus();
  });
  for (let presses = 0; presses < 60 && wanted.size > 0; presses++) {
    await page.keyboard.press("Tab");
    wanted.delete(await page.evaluate(() => document.activeElement?.id ?? ""));
  }
  expect([...wanted]).toEqual([]);
});
