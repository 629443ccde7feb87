import { VmadError } from "../lib/public/index.js";
import { HEADER_BYTES, MAX_PIXELS, pixelsFromHeader } from "./size.js";

/**
 * Decodes a photograph for display. Resolves to undefined if the browser does not support the
 * format; rejects with `file-unreadable` or `image-too-large`.
 */
export async function decodePreview(blob: Blob): Promise<ImageBitmap | undefined> {
  const header = await blob
    .slice(0, HEADER_BYTES)
    .arrayBuffer()
    .catch((thrown: unknown) => {
      throw new VmadError("file-unreadable", String(thrown), { cause: thrown });
    });
  const pixels = pixelsFromHeader(new DataView(header)) ?? 0;
  if (pixels > MAX_PIXELS) {
    throw new VmadError("image-too-large", `the image has ${pixels} pixels`);
  }
  return createImageBitmap(blob).catch(() => undefined);
}
