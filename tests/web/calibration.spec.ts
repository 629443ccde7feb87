/** Thresholds from the user's own parts, and samples with several criteria; with the fake engine. */
import { expect, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { brokenRules, choosePhoto, open, slide, test, waitUntilIdle } from "./visit.js";

const COFFEE = readFileSync(resolve(import.meta.dirname, "../photos/coffee.jpg"));

/** Photographs of parts; for the fake engine, the number is the score above 0.2 in hundredths. */
function parts(numbers: number[]): { name: string; mimeType: string; buffer: Buffer }[] {
  return numbers.map((number) => ({
    name: `part-${number}.jpg`,
    mimeType: "image/jpeg",
    buffer: COFFEE,
  }));
}

const broken = { name: "notes.jpg", mimeType: "image/jpeg", buffer: Buffer.from("no photograph") };

async function openCard(page: Page): Promise<void> {
  await open(page);
  await page.locator("#calibration summary").click();
}

/** Finds the threshold of parts with the scores 0.20, 0.21, … */
async function calibrate(page: Page, object: string, n: number): Promise<void> {
  await page.locator("#object").fill(object);
  await page.setInputFiles("#good-files", parts(Array.from({ length: n }, (_, i) => i)));
  await page.locator("#calibration-start").click();
  await expect(page.locator("#calibration-result")).toBeVisible();
}

test("good parts give a threshold that is saved and used for their object", async ({ page }) => {
  await openCard(page);
  await calibrate(page, "Bolt", 24);
  await expect(page.locator("#calibration-result")).toBeFocused();
  // ⌈25 · 0.95⌉ = 24: the highest, 0.43.
  await expect(page.locator("#calibration-summary")).toContainText(
    "The threshold 0.431 from 24 good parts",
  );
  await expect(page.locator("#calibration-summary")).toContainText("1 in 25");
  await expect(page.locator("#calibration-warning")).toBeHidden();
  await expect(page.locator("#calibration-plot circle")).toHaveCount(24);
  await expect(page.locator("#calibration-plot line.found")).toHaveCount(1);
  await expect(page.locator("#calibration-own")).toHaveText("the model’s own 0.420");
  await page.locator("#calibration-use").click();
  await expect(page.locator("#calibration-used")).toContainText("Saved");
  await expect(page.locator("#saved-list li")).toHaveCount(1);

  await page.reload();
  await expect(page.locator("#device-line")).toContainText("Ready on");
  await page.locator("#object").fill(" bolt ");
  await expect(page.locator("#saved-hint")).toContainText("24 good parts of “Bolt”");
  await choosePhoto(page, "coffee.jpg");
  await waitUntilIdle(page);
  await expect(page.locator("#verdict-reason")).toContainText(
    "the threshold from 24 good parts of “Bolt”, 0.431",
  );
  await expect(page.locator("#threshold-own")).toContainText("the model’s own is 0.420");
  // The mask goes by the parts, too: the highest peak, 0.48.
  await expect(page.locator("#map-threshold-value")).toHaveText("0.480");
  await slide(page, "#threshold", 0.95);
  await expect(page.locator("#verdict-reason")).toContainText("your threshold of 0.950");
  await page.locator("#threshold-reset").click();
  await expect(page.locator("#verdict-reason")).toContainText("24 good parts");

  await page.locator("#object").fill("nut");
  await expect(page.locator("#saved-hint")).toBeEmpty();
  await page.locator("#inspect").click();
  await expect(page.locator("#verdict-reason")).toContainText("the model’s threshold of 0.420");
});

test("a result on the page follows when its threshold is saved or deleted", async ({ page }) => {
  await openCard(page);
  await page.locator("#object").fill("good part");
  await choosePhoto(page, "coffee.jpg");
  await waitUntilIdle(page);
  await expect(page.locator("#verdict-word")).toHaveText("OK");
  await page.setInputFiles("#good-files", [...parts([-15])]);
  await page.setInputFiles("#good-files", [
    { name: "part-0.jpg", mimeType: "image/jpeg", buffer: COFFEE },
  ]);
  await page.locator("#calibration-start").click();
  await page.locator("#calibration-use").click();
  await expect(page.locator("#verdict-reason")).toContainText("from 2 good parts of “good part”");
  await page.locator("#saved-list button").click();
  await expect(page.locator("#saved")).toBeHidden();
  await expect(page.locator("#verdict-reason")).toContainText("the model’s threshold of 0.420");
  // Inspecting and asking go on as before.
  await page.locator("#inspect").click();
  await waitUntilIdle(page);
  await expect(page.locator("#verdict-reason")).toContainText("the model’s threshold");
});

test("too few photographs and unusable ones are reported", async ({ page }) => {
  await openCard(page);
  await expect(page.locator("#calibration-start")).toBeDisabled();
  await page.setInputFiles("#good-files", [...parts([3, 1, 2]), broken]);
  await expect(page.locator("#good-count")).toHaveText("4 photographs");
  await page.locator("#tolerance").selectOption("50");
  await expect(page.locator("#tolerance-hint")).toContainText("49 photographs");
  await page.locator("#calibration-start").click();
  await expect(page.locator("#calibration-warning")).toContainText(
    "Too few for 1 in 50: that takes 49 photographs of good parts, and 3 could be used.",
  );
  await expect(page.locator("#calibration-summary")).toContainText("at most 1 in 4");
  await expect(page.locator("#calibration-summary")).toContainText("part-3.jpg");
  await expect(page.locator("#calibration-skipped")).toContainText("1 of 4 files");
  await expect(page.locator("#calibration-skipped")).toContainText("notes.jpg");

  await page.locator("#good-clear").click();
  await page.setInputFiles("#good-files", broken);
  await page.locator("#calibration-start").click();
  await expect(page.locator("#notice")).toHaveAttribute("data-code", "no-good-part");
  await expect(page.locator("#calibration-start")).toBeEnabled();
});

test("defective parts decide where the threshold lies", async ({ page }) => {
  await openCard(page);
  await page.setInputFiles("#good-files", parts([1, 2, 3]));
  await page.setInputFiles("#defective-files", parts([0, 5]));
  await page.locator("#calibration-start").click();
  await expect(page.locator("#calibration-summary")).toContainText(
    "3 good and 2 defective parts apart best: 0 good called not OK, 0 defective missed",
  );
  await expect(page.locator("#calibration-plot path.defective")).toHaveCount(2);
  await expect(page.locator("#calibration-warning")).toContainText("so few photographs");
});

test("a calibration can be stopped and leaves the photograph and its answer unchanged", async ({
  page,
}) => {
  await openCard(page);
  await choosePhoto(page, "coffee.jpg");
  await waitUntilIdle(page);
  await page.setInputFiles("#good-files", parts(Array.from({ length: 60 }, (_, i) => i)));
  await page.locator("#calibration-start").click();
  await expect(page.locator("#calibration-progress")).toContainText("of 60");
  await expect(page.locator("#inspect")).toBeDisabled();
  await page.locator("#calibration-stop").click();
  await expect(page.locator("#calibration-hint")).toHaveText("Stopped.");
  await expect(page.locator("#calibration-start")).toBeFocused();
  await expect(page.locator("#calibration-result")).toBeHidden();
  await expect(page.locator("#verdict-word")).toHaveText("Not OK");
  await page.locator("#question").fill("What may it lead to?");
  await page.locator("#question").press("Enter");
  await expect(page.locator(".answered").last()).toContainText("under load");
});

test("photographs dropped on the card are its own, others are inspected", async ({ page }) => {
  await openCard(page);
  for (const [target, count] of [
    ["#good-zone", "2 photographs"],
    ["#defective-zone", "2 photographs"],
  ] as const) {
    await page.evaluate(async (selector) => {
      const canvas = new OffscreenCanvas(60, 40);
      canvas.getContext("2d")?.fillRect(0, 0, 60, 40);
      const blob = await canvas.convertToBlob();
      const data = new DataTransfer();
      for (const name of ["a.png", "b.png", "a.png"]) {
        data.items.add(new File([blob], name, { type: "image/png", lastModified: 1 }));
      }
      const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
      document.querySelector(selector)?.dispatchEvent(event);
    }, target);
    await expect(page.locator(target.replace("zone", "count"))).toHaveText(count);
  }
  await expect(page.locator("#photo-area")).toHaveAttribute("data-state", "empty");
});

test("without storage a threshold lasts as long as the page", async ({ page }) => {
  await page.addInitScript(() => {
    Storage.prototype.setItem = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
  });
  await openCard(page);
  await calibrate(page, "bolt", 3);
  await page.locator("#calibration-use").click();
  await expect(page.locator("#calibration-used")).toContainText("until this page is closed");
  await expect(page.locator("#saved-hint")).toContainText("3 good parts of “bolt”");
});

test("thresholds of an earlier version of the model are listed and not used", async ({ page }) => {
  await openCard(page);
  await calibrate(page, "bolt", 3);
  await page.locator("#calibration-use").click();
  await page.evaluate(() => {
    const stored = localStorage.getItem("vmad.thresholds") ?? "";
    localStorage.setItem(
      "vmad.thresholds",
      stored.replace(/"fingerprint":"\w*"/, '"fingerprint":""'),
    );
  });
  await page.reload();
  await page.locator("#calibration summary").click();
  await expect(page.locator("#saved-list")).toContainText("the model has changed since");
  await page.locator("#object").fill("bolt");
  await expect(page.locator("#saved-hint")).toBeEmpty();
});

test("a sample may be judged against two descriptions", async ({ page }) => {
  await page.route("**/samples.json", async (route) => {
    const response = await route.fetch();
    const [first, ...others] = (await response.json()) as Record<string, unknown>[];
    const pair = {
      ...first,
      title: "Printed plate",
      criteria: [
        { title: "Print allowed", normal: "A plate with a print." },
        { title: "No print allowed", normal: "A plate without any print.", object: "bare plate" },
      ],
    };
    await route.fulfill({ response, json: [pair, ...others] });
  });
  await open(page);
  const pair = page.getByRole("group", { name: "Printed plate" });
  await expect(pair).toContainText("The same photograph, judged against different descriptions");
  for (const [name, object, normal] of [
    ["Print allowed", "bearing", "A plate with a print."],
    ["No print allowed", "bare plate", "A plate without any print."],
  ] as const) {
    const button = pair.getByRole("button", { name, exact: true });
    await button.click();
    await expect(button).toHaveAttribute("aria-pressed", "true");
    await expect(page.locator("#object")).toHaveValue(object);
    await expect(page.locator("#normal")).toHaveValue(normal);
    await waitUntilIdle(page);
  }
  await expect(page.locator("#samples-list [aria-pressed=true]")).toHaveCount(1);
  expect(await brokenRules(page)).toEqual([]);
});

for (const [name, use] of Object.entries({
  wide: { viewport: { width: 1280, height: 1000 } },
  narrow: { viewport: { width: 390, height: 844 } },
  dark: { viewport: { width: 1280, height: 1000 }, colorScheme: "dark" as const },
})) {
  test.describe(name, () => {
    test.use(use);

    test("is accessible and fits its width", async ({ page }, info) => {
      await openCard(page);
      expect(await brokenRules(page)).toEqual([]);
      await page.locator("#object").fill("bolt");
      await page.setInputFiles("#good-files", [...parts([9, 3, 4, 4, 5, 6, 5, 4, 8]), broken]);
      await page.setInputFiles("#defective-files", parts([2, 9]));
      await page.locator("#calibration-start").click();
      await expect(page.locator("#calibration-running")).toBeVisible();
      expect(await brokenRules(page)).toEqual([]);
      await page.locator("#calibration-use").click();
      expect(await brokenRules(page)).toEqual([]);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      expect(width).toBeLessThanOrEqual(use.viewport.width);
      const card = page.locator("#calibration");
      await card.screenshot({ path: info.outputPath(`${name}.png`) });
    });
  });
}

test("the card can be used with the keyboard alone", async ({ page }) => {
  await open(page);
  await page.setInputFiles("#good-files", parts([1, 2, 3]));
  await page.locator("#inspect").focus();
  await page.locator("#calibration summary").focus();
  await page.keyboard.press("Enter");
  const reached: string[] = [];
  for (let presses = 0; presses < 5; presses++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement?.id ?? ""));
  }
  expect(reached).toEqual([
    "good-choose",
    "good-clear",
    "defective-choose",
    "tolerance",
    "calibration-start",
  ]);
  await page.locator("#calibration-start").focus();
  await page.keyboard.press("Enter");
  await expect(page.locator("#calibration-result")).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.locator("#saved-list li")).toHaveCount(1);
});

test("prefetched samples work offline, and a missing one is reported", async ({ page }) => {
  await page.route("**/samples/bearing-rust.jpg", (route) => route.abort());
  await open(page);
  const prefetched = page.locator("#samples-list button").last();
  await page.context().setOffline(true);
  await prefetched.click();
  await expect(prefetched).toHaveAttribute("aria-pressed", "true");
  await waitUntilIdle(page);
  await expect(page.locator("#notice")).toBeHidden();
  await page.locator("#samples-list button").first().click();
  await expect(page.locator("#notice-title")).toHaveText(
    "The sample could not be fetched: no connection.",
  );
  await page.context().setOffline(false);
});
