"""Masks as the COCO API writes and fills them, for the reader of annotations (§10).

`counts` are plain run lengths of the mask, computed here; `compressed` is pycocotools' string for
the same mask; where a case has `polygons`, the mask is what pycocotools fills.
"""

import json

import numpy as np
from pycocotools import mask as coco

from common import FIXTURES


def runs(mask):
    """Lengths of runs down the columns, zeros first."""
    flat = mask.flatten(order="F").astype(bool)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def case(name, mask, polygons=None):
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert (coco.decode(encoded) == mask).all(), name
    entry = {
        "name": name,
        "size": list(mask.shape),
        "counts": runs(mask),
        "compressed": encoded["counts"].decode(),
    }
    if polygons is not None:
        entry["polygons"] = polygons
    return entry


def filled(name, height, width, *polygons):
    outlines = [np.asarray(polygon, dtype=float).ravel().tolist() for polygon in polygons]
    mask = coco.decode(coco.merge(coco.frPyObjects(outlines, height, width)))
    return case(name, mask, outlines)


def mask_cases():
    rng = np.random.default_rng(17)
    blob = np.zeros((211, 333), dtype=bool)
    blob[13:150, 60:61] = True
    blob[20:190, 90:300] = True
    blob[40:50, 100:280] = False
    return [
        case("empty", np.zeros((5, 7), dtype=bool)),
        case("full", np.ones((5, 7), dtype=bool)),
        case("one pixel", np.ones((1, 1), dtype=bool)),
        case("starts with a one", np.arange(35).reshape(5, 7) % 2 == 0),
        case("noise", rng.random((31, 17)) < 0.3),
        case("sparse noise", rng.random((97, 61)) < 0.01),
        case("blocks", blob),
        case("two runs in a megapixel", np.arange(1 << 20).reshape(1024, 1024) == 5),
    ]


def polygon_cases():
    rng = np.random.default_rng(18)
    angle = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    star = np.stack([np.cos(angle * 4), np.sin(angle * 4)], axis=1) * 11.3 + [14.6, 12.2]
    return [
        filled("square on the grid", 9, 11, [[2, 3], [7, 3], [7, 6], [2, 6]]),
        filled("the same, other way round", 9, 11, [[2, 6], [7, 6], [7, 3], [2, 3]]),
        filled("square between pixels", 9, 11, [[2.5, 3.5], [7.5, 3.5], [7.5, 6.5], [2.5, 6.5]]),
        filled("triangle", 31, 29, [[3.2, 1.7], [26.9, 14.1], [8.4, 28.3]]),
        filled("concave", 23, 21, [[2, 2], [18, 3.5], [10.5, 8], [17, 20], [3.3, 18.8]]),
        filled("star that crosses itself", 25, 31, star),
        filled("over all edges", 13, 17, [[-6.3, 5], [8, -9.7], [25.5, 6], [9, 30.2]]),
        filled("outside", 13, 17, [[-9, -9], [-3, -9], [-5, -2]]),
        filled("below and right", 13, 17, [[18, 14], [30, 14], [25, 40]]),
        filled("smaller than a pixel", 13, 17, [[4.1, 4.1], [4.3, 4.1], [4.2, 4.4]]),
        filled("a line", 13, 17, [[2, 2], [12, 9], [7, 5.5]]),
        filled("repeated corners", 13, 17, [[2, 2], [2, 2], [12, 2], [12, 9], [12, 9], [2, 9], [2, 2]]),
        filled("two that overlap", 13, 17, [[2, 2], [9, 2], [9, 9], [2, 9]], [[5, 4], [15, 4], [15, 11], [5, 11]]),
        filled("one pixel wide", 40, 1, [[0, 3.3], [1, 3.3], [1, 31.7], [0, 31.7]]),
        *(filled(f"random {i}", 37, 53, rng.uniform(-4, 56, (3 + 2 * i, 2)).round(2)) for i in range(6)),
    ]


def main():
    path = FIXTURES / "data" / "coco_masks.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(entry, separators=(",", ":")) for entry in mask_cases() + polygon_cases()]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"{path.name:32} {path.stat().st_size:>9,} bytes")
