import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test as base, expect, type Page } from "@playwright/test";

/** A test that also fails if the page throws or violates its Content Security Policy. */
export const test = base.extend({
  page: async ({ page }, use) => {
    const errors: string[] = [];
    page.on("pageerror", (error) => {
      errors.push(error.message);
    });
    page.on("console", (message) => {
      const text = message.text();
      if (/Content Security Policy|Refused to/.test(text)) errors.push(text);
    });
    await use(page);
    expect(errors, "errors of the page").toEqual([]);
  },
});

/** Opens the page and waits until a model is loaded. */
export async function open(page: Page, query = ""): Promise<void> {
  await page.goto(`./${query}`);
  await expect(page.locator("#device-line")).toContainText("Ready on");
}

/** Chooses one of the photographs of `tests/photos`. */
export async function choosePhoto(page: Page, name: string): Promise<void> {
  const types: Record<string, string> = { png: "image/png", jpg: "image/jpeg", webp: "image/webp" };
  const mimeType = types[name.split(".").pop() ?? ""] ?? "application/octet-stream";
  const buffer = readFileSync(resolve(import.meta.dirname, "../photos", name));
  await page.setInputFiles("#file", { name, mimeType, buffer });
}

/** Waits until no call is running. */
export async function waitUntilIdle(page: Page): Promise<void> {
  await expect(page.locator("#inspect")).toBeEnabled({ timeout: 60_000 });
}

/** Number of canvas pixels with the colour of the outline. */
export async function outlinePixels(page: Page): Promise<number> {
  return page.evaluate(async () => {
    // The canvas is drawn before the next frame.
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const canvas = document.querySelector<HTMLCanvasElement>("#canvas");
    if (!canvas) return 0;
    const { data } = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height) ?? {};
    let count = 0;
    for (let i = 0; data && i < data.length; i += 4) {
      if (data[i] === 0 && data[i + 1] === 229 && data[i + 2] === 255) count += 1;
    }
    return count;
  });
}

/** The content of the canvas as a data URL. */
export async function canvasImage(page: Page): Promise<string> {
  return page.evaluate(async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    return document.querySelector<HTMLCanvasElement>("#canvas")?.toDataURL() ?? "";
  });
}

/** Sets a slider to a value and fires its input event. */
export async function slide(page: Page, id: string, value: number): Promise<void> {
  await page.locator(id).fill(String(value));
}

/** The accessibility rules that axe reports as violated. */
export async function brokenRules(page: Page): Promise<string[]> {
  // Through evaluate and not as a script element, which the Content Security Policy would refuse.
  await page.evaluate(
    readFileSync(resolve(import.meta.dirname, "../../node_modules/axe-core/axe.min.js"), "utf8"),
  );
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
    const { violations } = await axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    });
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ target }) => String(target)).join("; ")}`,
    );
  });
}
