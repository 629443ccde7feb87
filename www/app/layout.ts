import { byId } from "./dom.js";

/** From here on there is room for two columns; the same width as in the style sheet. */
const WIDE = "(min-width: 56rem)";
const LEFT = ["picture", "view", "query"];
const RIGHT = ["verdict", "chat", "findings", "calibration", "run-details"];
/** One below the other, the verdict has to follow the photograph at once. */
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
 * Puts the cards in one or two columns. They are moved in the document, not by style, so that the
 * order of the keyboard stays the order of the eye.
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
