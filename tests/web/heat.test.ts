import { describe, expect, test } from "vitest";
import {
  colour,
  heatPixels,
  maskPixels,
  outlinePixels,
  resample,
  type Field,
} from "../../www/app/heat.js";
import { findRegions } from "../../www/app/regions.js";
import { pixelsFromHeader } from "../../www/app/size.js";

function field(width: number, height: number, at: Record<number, number>): Field {
  const values = new Float32Array(width * height);
  for (const [index, value] of Object.entries(at)) values[Number(index)] = value;
  return { width, height, values };
}

test("the scale is that of the engine's own pictures", () => {
  // The same values as in the tests of `vmad-prep`.
  for (const [value, expected] of [
    [0, [0, 0, 4]],
    [0.5, [186, 54, 85]],
    [1, [252, 255, 164]],
    [-3, [0, 0, 4]],
    [7, [252, 255, 164]],
    [NaN, [0, 0, 4]],
  ] as const) {
    expect(colour(value)).toEqual(expected);
  }
});

test("a low map leaves the photograph nearly alone", () => {
  const pixels = heatPixels(field(1, 1, { 0: 0.05 }), true);
  expect(pixels[3]).toBeLessThan(16);
  expect(heatPixels(field(1, 1, { 0: 0.05 }), false)[3]).toBe(255);
});

test("mask and outline follow the threshold", () => {
  const map = field(5, 5, { 12: 0.9 });
  expect(maskPixels(map, 0.5).filter((value) => value === 0)).toHaveLength(24 * 3);
  const outline = outlinePixels(map, 0.5, 1);
  expect([...outline.slice(48, 52)]).toEqual([0, 229, 255, 255]);
  expect(outlinePixels(map, 0.95, 1).every((value) => value === 0)).toBe(true);
});

describe("resampling", () => {
  test("keeps a hairline when it shrinks", () => {
    const small = resample(field(9, 9, { 40: 0.8 }), 2, 2);
    expect(Math.max(...small.values)).toBeCloseTo(0.8);
  });

  test("is bilinear with half-pixel centres when it grows", () => {
    const large = resample(field(2, 1, { 1: 1 }), 4, 1);
    expect([...large.values]).toEqual([0, 0.25, 0.75, 1]);
  });
});

describe("regions", () => {
  test("diagonals join, scores sort, places are those of the photograph", () => {
    const map = field(4, 4, { 0: 0.6, 5: 0.7, 15: 0.9 });
    const regions = findRegions(map, 0.5, 2, 2);
    expect(regions.map(({ score, ...box }) => ({ ...box, score: score.toFixed(1) }))).toEqual([
      { x: 6, y: 6, width: 2, height: 2, area: 4, score: "0.9" },
      { x: 0, y: 0, width: 4, height: 4, area: 8, score: "0.7" },
    ]);
  });

  test("a value at the threshold is outside", () => {
    expect(findRegions(field(2, 2, { 0: 0.5 }), 0.5, 1, 1)).toEqual([]);
  });
});

test("sizes are read from PNG and JPEG headers", () => {
  const png = new Uint8Array(24);
  png.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  png.set([0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20], 16);
  expect(pixelsFromHeader(new DataView(png.buffer))).toBe(400_000_000);
  const jpeg = new Uint8Array([
    0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xc4, 0, 3, 0, 0xff, 0xc2, 0, 11, 8, 1, 0, 2, 0, 0, 0,
    0,
  ]);
  expect(pixelsFromHeader(new DataView(jpeg.buffer))).toBe(256 * 512);
  expect(pixelsFromHeader(new DataView(new ArrayBuffer(2)))).toBeUndefined();
  expect(pixelsFromHeader(new DataView(new TextEncoder().encode("some text").buffer))).toBe(
    undefined,
  );
});
