import type { Region } from "../lib/public/index.js";
import type { Field } from "./heat.js";

/** Regions below this share of the map are left out, as in the engine. */
const MIN_SHARE = 1 / 20_000;
/** Maximum number of regions, as in the engine. */
const MAX_REGIONS = 64;

/**
 * The 8-connected regions above a threshold, highest score first. They are in pixels of the
 * photograph, which is `scaleX` × `scaleY` times the size of the field.
 */
export function findRegions(
  { width, height, values }: Field,
  threshold: number,
  scaleX: number,
  scaleY: number,
): Region[] {
  const isOpen = new Uint8Array(values.length);
  for (let i = 0; i < isOpen.length; i++) isOpen[i] = (values[i] ?? 0) > threshold ? 1 : 0;
  const regions: Region[] = [];
  const stack: number[] = [];
  for (let start = 0; start < isOpen.length; start++) {
    if (!isOpen[start]) continue;
    let [left, top, right, bottom, cells, score] = [width, height, 0, 0, 0, 0];
    isOpen[start] = 0;
    stack.push(start);
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const x = at % width;
      const y = (at - x) / width;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
      cells += 1;
      score = Math.max(score, values[at] ?? 0);
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          const near = row * width + column;
          if (!isOpen[near]) continue;
          isOpen[near] = 0;
          stack.push(near);
        }
      }
    }
    if (cells < MIN_SHARE * width * height) continue;
    const x = Math.floor(left * scaleX);
    const y = Math.floor(top * scaleY);
    regions.push({
      x,
      y,
      width: Math.ceil((right + 1) * scaleX) - x,
      height: Math.ceil((bottom + 1) * scaleY) - y,
      area: Math.round(cells * scaleX * scaleY),
      score,
    });
  }
  return regions.sort((a, b) => b.score - a.score || b.area - a.area).slice(0, MAX_REGIONS);
}
