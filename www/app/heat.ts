/**
 * Anomaly map → pixels, with the same colour scale, mask rule and outline as `vmad inspect --out`.
 * The scale is fixed from 0 to 1 and not normalised per photograph.
 */

/** A grid of values from 0 to 1, row-major. */
export interface Field {
  width: number;
  height: number;
  values: Float32Array;
}

type Rgb = readonly [number, number, number];

/** "Inferno" in nine anchors, from 0 to 1. */
const ANCHORS: readonly Rgb[] = [
  [0, 0, 4],
  [31, 12, 72],
  [85, 15, 109],
  [136, 34, 106],
  [186, 54, 85],
  [227, 89, 51],
  [249, 140, 10],
  [249, 201, 50],
  [252, 255, 164],
];

/** Colour of the outline: cyan, which the scale does not contain. */
const OUTLINE: Rgb = [0, 229, 255];
/** A dark rim keeps the outline visible on light parts. */
const RIM_ALPHA = 150;
const LEVELS = 256;

/** Colour of a value; values outside 0 to 1 are clamped, NaN counts as 0. */
export function colour(value: number): Rgb {
  const last = ANCHORS.length - 1;
  const position = clamp(value) * last;
  const below = Math.min(Math.floor(position), last - 1);
  const fraction = position - below;
  const from = ANCHORS[below] ?? [0, 0, 0];
  const to = ANCHORS[below + 1] ?? from;
  const mix = (a: number, b: number): number => Math.round(a + (b - a) * fraction);
  return [mix(from[0], to[0]), mix(from[1], to[1]), mix(from[2], to[2])];
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value || 0));
}

/** The map in colours; with `fade`, alpha is proportional to the value. */
export function heatPixels(field: Field, fade: boolean): Uint8ClampedArray<ArrayBuffer> {
  // One 32-bit word per pixel: little-endian RGBA, as on all platforms of browsers.
  const table = Uint32Array.from({ length: LEVELS }, (_, level) => {
    const [r, g, b] = colour(level / (LEVELS - 1));
    return ((fade ? level : 255) << 24) | (b << 16) | (g << 8) | r;
  });
  const words = new Uint32Array(field.values.length);
  for (let i = 0; i < words.length; i++) {
    words[i] = table[Math.round(clamp(field.values[i] ?? 0) * (LEVELS - 1))] ?? 0;
  }
  return new Uint8ClampedArray(words.buffer);
}

/** White above the threshold, black elsewhere. */
export function maskPixels(field: Field, threshold: number): Uint8ClampedArray<ArrayBuffer> {
  const words = new Uint32Array(field.values.length);
  for (let i = 0; i < words.length; i++) {
    words[i] = (field.values[i] ?? 0) > threshold ? 0xffffffff : 0xff000000;
  }
  return new Uint8ClampedArray(words.buffer);
}

/** The outline of the mask: a line `line` pixels wide inside it and a dark rim outside it. */
export function outlinePixels(
  { width, height, values }: Field,
  threshold: number,
  line: number,
): Uint8ClampedArray<ArrayBuffer> {
  const inside = new Uint8Array(values.length);
  for (let i = 0; i < inside.length; i++) inside[i] = (values[i] ?? 0) > threshold ? 1 : 0;
  const lineWord = (0xff << 24) | (OUTLINE[2] << 16) | (OUTLINE[1] << 8) | OUTLINE[0];
  const rimWord = RIM_ALPHA << 24;
  const words = new Uint32Array(values.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const own = inside[i];
      // Pixels outside the photograph count as equal, so its border gets no line.
      const differs =
        (x >= line && inside[i - line] !== own) ||
        (x + line < width && inside[i + line] !== own) ||
        (y >= line && inside[i - line * width] !== own) ||
        (y + line < height && inside[i + line * width] !== own);
      if (differs) words[i] = own === 1 ? lineWord : rimWord;
    }
  }
  return new Uint8ClampedArray(words.buffer);
}

/**
 * The map at another size: maximum pooling when it shrinks, so that thin defects remain, and
 * bilinear interpolation when it grows.
 */
export function resample(field: Field, width: number, height: number): Field {
  const values = new Float32Array(width * height);
  const shrinks = width <= field.width && height <= field.height;
  const sample = shrinks ? maxPool : bilinear;
  const scaleX = field.width / width;
  const scaleY = field.height / height;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      values[y * width + x] = sample(field, x, y, scaleX, scaleY);
    }
  }
  return { width, height, values };
}

function maxPool(field: Field, x: number, y: number, scaleX: number, scaleY: number): number {
  const right = Math.min(field.width, Math.ceil((x + 1) * scaleX));
  const bottom = Math.min(field.height, Math.ceil((y + 1) * scaleY));
  let max = 0;
  for (let row = Math.floor(y * scaleY); row < bottom; row++) {
    for (let column = Math.floor(x * scaleX); column < right; column++) {
      max = Math.max(max, field.values[row * field.width + column] ?? 0);
    }
  }
  return max;
}

function bilinear(field: Field, x: number, y: number, scaleX: number, scaleY: number): number {
  const fromX = Math.max(0, (x + 0.5) * scaleX - 0.5);
  const fromY = Math.max(0, (y + 0.5) * scaleY - 0.5);
  const left = Math.min(Math.floor(fromX), field.width - 1);
  const top = Math.min(Math.floor(fromY), field.height - 1);
  const at = (column: number, row: number): number =>
    field.values[
      Math.min(row, field.height - 1) * field.width + Math.min(column, field.width - 1)
    ] ?? 0;
  const tx = fromX - left;
  const ty = fromY - top;
  const upper = at(left, top) * (1 - tx) + at(left + 1, top) * tx;
  const lower = at(left, top + 1) * (1 - tx) + at(left + 1, top + 1) * tx;
  return upper * (1 - ty) + lower * ty;
}
