/** A dot plot of scores, with the thresholds as lines. */
import type { Scored } from "../lib/public/index.js";

const SVG = "http://www.w3.org/2000/svg" as const;
/** Sizes in units of the view box; CSS scales it to the available width. */
const WIDTH = 480;
const MARGIN = 14;
const N_STACKS = 44;
const STEP = (WIDTH - 2 * MARGIN) / N_STACKS;
const MIN_HEIGHT = 70;
const MAX_HEIGHT = 150;

/** The part of the score axis that is drawn. */
export interface ScoreRange {
  low: number;
  high: number;
}

/** The position of a dot: the index of its stack, and its level, counted from 0 at the bottom. */
export interface Dot {
  defective: boolean;
  stack: number;
  level: number;
}

/** The smallest range within 0 to 1 that holds all numbers with a margin at both sides. */
export function scoreRange(numbers: readonly number[]): ScoreRange {
  const low = Math.min(...numbers);
  const high = Math.max(...numbers);
  const margin = Math.max(0.02, (high - low) * 0.08);
  return { low: Math.max(0, low - margin), high: Math.min(1, high + margin) };
}

/** Puts each score on the stack of its bin, good parts below defective ones. */
export function stackDots(
  scores: readonly Scored[],
  { low, high }: ScoreRange,
  nStacks: number,
): Dot[] {
  const heights = new Array<number>(nStacks).fill(0);
  const sorted = [...scores].sort((a, b) => Number(a.defective) - Number(b.defective));
  return sorted.map(({ score, defective }) => {
    const fraction = (score - low) / (high - low);
    const stack = Math.min(nStacks - 1, Math.max(0, Math.floor(fraction * nStacks)));
    const level = heights[stack] ?? 0;
    heights[stack] = level + 1;
    return { defective, stack, level };
  });
}

/** Draws the dots and a line for each threshold into `svg`. */
export function drawDots(
  svg: SVGElement,
  scores: readonly Scored[],
  lines: readonly { value: number; className: string }[],
): void {
  const range = scoreRange([
    ...scores.map(({ score }) => score),
    ...lines.map(({ value }) => value),
  ]);
  const dots = stackDots(scores, range, N_STACKS);
  const tallest = dots.reduce((max, { level }) => Math.max(max, level + 1), 1);
  const height = Math.min(MAX_HEIGHT, Math.max(MIN_HEIGHT, tallest * STEP + 2 * MARGIN));
  // The levels of stacks that are too tall overlap.
  const levelHeight = Math.min(STEP, (height - 2 * MARGIN) / tallest);
  const baseline = height - MARGIN;
  const xOf = (value: number): number =>
    MARGIN + ((value - range.low) / (range.high - range.low)) * (WIDTH - 2 * MARGIN);

  const axis = element("line", "axis", { x1: 0, x2: WIDTH, y1: baseline, y2: baseline });
  const symbols = dots.map(({ defective, stack, level }) => {
    const x = MARGIN + (stack + 0.5) * STEP;
    const y = baseline - (level + 0.5) * levelHeight - 1;
    const r = STEP * 0.4;
    // The shapes differ as well as the colours, for users who cannot tell the colours apart.
    return defective
      ? element("path", "defective", {
          d: `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`,
        })
      : element("circle", "good", { cx: x, cy: y, r });
  });
  const thresholds = lines.map(({ value, className }) =>
    element("line", className, { x1: xOf(value), x2: xOf(value), y1: 2, y2: height - 2 }),
  );
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
  svg.replaceChildren(axis, ...symbols, ...thresholds);
}

function element(
  tag: "line" | "circle" | "path",
  className: string,
  attributes: Record<string, string | number>,
): SVGElement {
  const made: SVGElement = document.createElementNS(SVG, tag);
  made.setAttribute("class", className);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}
