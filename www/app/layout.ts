import { byId } from "./dom.js";

/** Two columns from this width on; the same width as in the style sheet. */
const WIDE = "(min-width: 56rem)";
const LEFT = ["picture", "view", "query"];
const RIGHT = ["verdict", "chat", "findings", "calibration", "run-details"];
/** In one column the verdict follows the photograph directly. */
const NARROW = [
  "picture",
  "verdict",
  "view",
  "chat",
  "query",
  "calibration",
  "findings",
  "run-details",
];

/**
 * Arranges the cards in one or two columns. It moves them in the document, so that the order of
 * focus is the visual order.
 */
export function arrangeCards(): void {
  const wide = matchMedia(WIDE);
  const left = byId("left", HTMLElement);
  const right = byId("right", HTMLElement);
  const cards = (ids: string[]): HTMLElement[] => ids.map((id) => byId(id, HTMLElement));
  const arrange = (): void => {
    left.append(...cards(wide.matches ? LEFT : NARROW));
    if (wide.matches) right.append(...cards(RIGHT));
  };
  wide.addEventListener("change", arrange);
  arrange();
}
