import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, type Page } from "@playwright/test";

/** Opens the page and waits until a model is loaded. Fails on anything the page logs as an error. */
export async function open(page: Page, query = ""): Promise<void> {
  page.on("pageerror", (error) => {
    throw error;
  });
  page.on("console", (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) throw new Error(message.text());
  });
  await page.goto(`./${query}`);
  await expect(page.locator("#device-line")).toContainText("Ready on");
}

/** Puts one of the real photographs of `tests/photos` onto the page. */
export async function choosePhoto(page: Page, name: string): Promise<void> {
  const types: Record<string, string> = { png: "image/png", jpg: "image/jpeg", webp: "image/webp" };
  const mimeType = types[name.split(".").pop() ?? ""] ?? "application/octet-stream";
  const buffer = readFileSync(resolve(import.meta.dirname, "../photos", name));
  await page.setInputFiles("#file", { name, mimeType, buffer });
}

/** Waits until nothing runs any more. */
export async function settle(page: Page): Promise<void> {
  await expect(page.locator("#inspect")).toBeEnabled({ timeout: 60_000 });
}

/** How many pixels of the canvas have the outline's colour. */
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

/** A fingerprint of what the canvas shows. */
export async function canvasImage(page: Page): Promise<string> {
  return page.evaluate(async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    return document.querySelector<HTMLCanvasElement>("#canvas")?.toDataURL() ?? "";
  });
}

/** Moves a slider as the keyboard would: the value, then the event. */
export async function slide(page: Page, id: string, value: number): Promise<void> {
  await page.locator(id).fill(String(value));
}

/** The accessibility rules that axe finds broken, in words. */
export async function brokenRules(page: Page): Promise<string[]> {
  // Through evaluate, not as a script element: the page's policy stays what it is.
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
