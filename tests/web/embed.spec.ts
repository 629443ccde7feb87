/** The npm library on another site, unbundled: the element, and the `Inspector` class. */
import { expect, type Page } from "@playwright/test";
import { resolve } from "node:path";
import { test } from "./visit.js";

const PAGE = "tests/web/embed/index.html";
const photo = (name: string): string => resolve(import.meta.dirname, "../photos", name);

/** Collects the events of the element from now on. */
async function listen(page: Page): Promise<() => Promise<string[]>> {
  await page.locator("vmad-inspector").evaluate((element) => {
    const received: string[] = [];
    Object.assign(globalThis, { received });
    element.addEventListener("vmad-result", (event) => {
      const { score, answer } = (event as CustomEvent<{ score: number; answer: string }>).detail;
      received.push(`result ${typeof score} ${typeof answer}`);
    });
    element.addEventListener("vmad-error", (event) => {
      received.push(`error ${(event as CustomEvent<{ code: string }>).detail.code}`);
    });
  });
  return () => page.evaluate(() => (globalThis as unknown as { received: string[] }).received);
}

test("the element shows verdict, mask and answer, and says so once", async ({ page }) => {
  await page.goto(PAGE);
  const received = await listen(page);
  const element = page.locator("vmad-inspector");
  await element.locator("input").setInputFiles(photo("coins.png"));
  await expect(element.locator("[part=verdict]")).toContainText("anomaly score");
  await expect(element.locator("[part=canvas]")).toBeVisible();
  await expect.poll(received).toEqual(["result number string"]);
  await expect(element.locator("[part=answer]")).not.toBeEmpty();
});

test("a file that is no photograph is an error, and the next one works", async ({ page }) => {
  await page.goto(PAGE);
  const received = await listen(page);
  const input = page.locator("vmad-inspector input");
  await input.setInputFiles({
    name: "notes.txt",
    mimeType: "text/plain",
    buffer: Buffer.from("no photograph"),
  });
  await expect.poll(received).toEqual(["error not-an-image"]);
  await input.setInputFiles(photo("gravel.webp"));
  await expect.poll(received).toEqual(["error not-an-image", "result number string"]);
});

test("the library inspects and is asked on", async ({ page }) => {
  await page.goto(PAGE);
  const kinds = await page.evaluate(async () => {
    // A name from the import map of the page, which the compiler cannot resolve.
    const name = "vmad-web";
    const { Inspector } = (await import(name)) as typeof import("../../www/lib/public/index.js");
    const inspector = await Inspector.open({ packageUrl: "/models/nano/", device: "cpu" });
    const response = await fetch("/tests/photos/coins.png");
    const kinds = new Set<string>();
    for await (const event of inspector.inspect(await response.blob(), { ask: "none" })) {
      kinds.add(event.kind);
    }
    for await (const event of inspector.ask("Where is it?", { maxNewTokens: 4 })) {
      kinds.add(event.kind);
    }
    inspector.close();
    return [...kinds].sort();
  });
  expect(kinds).toEqual(["done", "mask", "progress", "result", "token"]);
});
