/** Scores as a row of stacked dots, with the thresholds as lines. */
import type { Scored } from "../lib/index.js";

const SVG = "http://www.w3.org/2000/svg" as const;
/** Units of the drawing; style scales it to the width that there is. */
const WIDTH = 480;
const MARGIN = 14;
const N_STACKS = 44;
const STEP = (WIDTH - 2 * MARGIN) / N_STACKS;
const MIN_HEIGHT = 70;
const MAX_HEIGHT = 150;

/** A part of the scale, from the lowest to the highest number that is drawn. */
export interface Span {
  low: number;
  high: number;
}

/** Where a dot lies: the middle of its stack, and its place in it, counted from 0 at the bottom. */
export interface Dot {
  defective: boolean;
  stack: number;
  place: number;
}

/** The part of 0 to 1 that holds all numbers, with some room at its sides. */
export function spanOf(numbers: readonly number[]): Span {
  const low = Math.min(...numbers);
  const high = Math.max(...numbers);
  const room = Math.max(0.02, (high - low) * 0.08);
  return { low: Math.max(0, low - room), high: Math.min(1, high + room) };
}

/** Puts each score on the stack of its place on the scale, good parts below defective ones. */
export function stackDots(scores: readonly Scored[], { low, high }: Span, nStacks: number): Dot[] {
  const heights = new Array<number>(nStacks).fill(0);
  const sorted = [...scores].sort((a, b) => Number(a.defective) - Number(b.defective));
  return sorted.map(({ score, defective }) => {
    const share = (score - low) / (high - low);
    const stack = Math.min(nStacks - 1, Math.max(0, Math.floor(share * nStacks)));
    const place = heights[stack] ?? 0;
    heights[stack] = place + 1;
    return { defective, stack, place };
  });
}

/** Draws the dots and a line for each threshold into `svg`. */
export function drawDots(
  svg: SVGElement,
  scores: readonly Scored[],
  lines: readonly { value: number; className: string }[],
): void {
  const span = spanOf([...scores.map(({ score }) => score), ...lines.map(({ value }) => value)]);
  const dots = stackDots(scores, span, N_STACKS);
  const tallest = dots.reduce((most, { place }) => Math.max(most, place + 1), 1);
  const height = Math.min(MAX_HEIGHT, Math.max(MIN_HEIGHT, tallest * STEP + 2 * MARGIN));
  // Stacks too tall for the drawing are pressed together.
  const rise = Math.min(STEP, (height - 2 * MARGIN) / tallest);
  const ground = height - MARGIN;
  const xOf = (value: number): number =>
    MARGIN + ((value - span.low) / (span.high - span.low)) * (WIDTH - 2 * MARGIN);

  const axis = element("line", "axis", { x1: 0, x2: WIDTH, y1: ground, y2: ground });
  const marks = dots.map(({ defective, stack, place }) => {
    const x = MARGIN + (stack + 0.5) * STEP;
    const y = ground - (place + 0.5) * rise - 1;
    const r = STEP * 0.4;
    // Two shapes, so that nobody has to tell two colours apart.
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
  svg.replaceChildren(axis, ...marks, ...thresholds);
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
