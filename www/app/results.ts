import type { Region, Report, ResultEvent } from "../lib/public/index.js";
import { byId, make } from "./dom.js";
import { formatBytes, formatScore, formatShare, formatStage, formatTime } from "./format.js";

const MAX_ROWS = 12;

/** Lists the regions; `highlight` is called with the one under the pointer or the focus. */
export function showRegions(
  regions: readonly Region[],
  pixels: number,
  highlight: (region: Region | undefined) => void,
): void {
  const rows = regions.slice(0, MAX_ROWS).map((region, index) => {
    const row = make("tr");
    row.tabIndex = 0;
    row.append(
      cell(String(index + 1)),
      cell(formatScore(region.score)),
      cell(formatShare(region.area / Math.max(1, pixels))),
      cell(`${region.x}, ${region.y} · ${region.width} × ${region.height}`),
    );
    const set = (on: boolean) => (): void => {
      row.toggleAttribute("data-marked", on);
      highlight(on ? region : undefined);
    };
    row.addEventListener("mouseenter", set(true));
    row.addEventListener("mouseleave", set(false));
    row.addEventListener("focus", set(true));
    row.addEventListener("blur", set(false));
    return row;
  });
  byId("regions", HTMLElement).replaceChildren(...rows);
  byId("regions-box", HTMLElement).hidden = rows.length === 0;
  byId("regions-empty", HTMLElement).hidden = rows.length > 0;
  const more = byId("regions-more", HTMLElement);
  more.hidden = regions.length <= MAX_ROWS;
  more.textContent = `And ${regions.length - MAX_ROWS} smaller ones.`;
  byId("findings", HTMLElement).hidden = false;
}

/** Shows the duration of each stage. */
export function showTimings(timings: ResultEvent["timings"]): void {
  const rows = timings.map(([stage, ms]) => {
    const row = make("tr");
    const name = make("th", formatStage(stage));
    name.scope = "row";
    row.append(name, cell(formatTime(ms)));
    return row;
  });
  byId("timings", HTMLElement).replaceChildren(...rows);
  const total = timings.reduce((sum, [, ms]) => sum + ms, 0);
  byId("timings-total", HTMLElement).textContent = formatTime(total);
  byId("run-details", HTMLElement).hidden = false;
}

/** Shows the memory use of the engine. */
export function showMemory({ hostBytes, deviceBytes }: Report): void {
  const device = deviceBytes === null ? "" : `, ${formatBytes(deviceBytes)} on the device`;
  byId("memory", HTMLElement).textContent =
    `The engine holds ${formatBytes(hostBytes)} of memory${device}.`;
}

/** Hides regions and timings. */
export function clearResults(): void {
  byId("findings", HTMLElement).hidden = true;
  byId("run-details", HTMLElement).hidden = true;
}

function cell(text: string): HTMLTableCellElement {
  return make("td", text);
}
