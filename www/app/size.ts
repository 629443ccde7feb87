/** The pixel limit of the engine. Larger photographs are not decoded, to save the memory of the tab. */
export const MAX_PIXELS = 64_000_000;

/** Bytes to read for the image size; in a JPEG a thumbnail may precede it. */
export const HEADER_BYTES = 256 * 1024;

/** Number of pixels of a PNG or JPEG, read from its header; undefined for other files. */
export function pixelsFromHeader(header: DataView): number | undefined {
  if (header.byteLength >= 24 && header.getUint32(0) === 0x89504e47) {
    return header.getUint32(16) * header.getUint32(20);
  }
  if (header.byteLength < 4 || header.getUint16(0) !== 0xffd8) return undefined;
  for (let at = 2; at + 9 < header.byteLength;) {
    const marker = header.getUint16(at);
    // SOF0 to SOF15 hold the size; DHT, JPG and DAC share their range.
    const isFrame = marker >= 0xffc0 && marker <= 0xffcf;
    if (isFrame && marker !== 0xffc4 && marker !== 0xffc8 && marker !== 0xffcc) {
      return header.getUint16(at + 5) * header.getUint16(at + 7);
    }
    if (marker < 0xff00) return undefined;
    at += 2 + header.getUint16(at + 2);
  }
  return undefined;
}
