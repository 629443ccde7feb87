"""Expected values for the metrics of §11, on hand-made and random cases.

AUROC and AP come from scikit-learn; PRO is written out here, twice for the default variant.
`null` means the value is not defined for the case.
"""

import json

import numpy as np
from scipy import ndimage
from sklearn.metrics import average_precision_score, roc_auc_score

from common import FIXTURES

FPR_LIMIT = 0.3
LINEAR_STEPS = 200
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


def shortest(values):
    """f32 values as the shortest decimals that read back to the same f32."""
    return [float(str(value)) for value in np.asarray(values, dtype=np.float32).ravel()]


def both_classes(labels):
    return 0 < sum(labels) < len(labels)


def classification(name, scores, labels):
    scores, labels = shortest(scores), [int(label) for label in labels]
    defined = both_classes(labels)
    return {
        "name": name,
        "scores": scores,
        "labels": labels,
        "auroc": float(roc_auc_score(labels, scores)) if defined else None,
        "ap": float(average_precision_score(labels, scores)) if defined else None,
    }


def classification_cases():
    rng = np.random.default_rng(11)
    labels = rng.integers(0, 2, 60)
    signal = rng.standard_normal(60) + labels
    step = np.float32(2**-24)
    return [
        classification("random", signal, labels),
        classification("many ties", np.round(signal * 2) / 2, labels),
        classification("rare positives", rng.standard_normal(200), np.arange(200) % 50 == 7),
        classification("perfect", [0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]),
        classification("reversed", [0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]),
        classification("all scores equal", [0.5] * 5, [0, 1, 0, 1, 1]),
        classification("tie across classes", [0.3, 0.7, 0.7, 0.7, 0.2], [0, 0, 1, 1, 1]),
        classification("one bit apart", [0.5, 0.5 + step, 0.5 + 2 * step, 0.5], [0, 1, 0, 1]),
        classification("negative and huge", [-3e38, 3e38, -1e-38, 1e-38, 0.0], [0, 1, 1, 0, 1]),
        classification("minus zero ties with zero", [-0.0, 0.0, 1.0, -1.0], [1, 0, 1, 0]),
        classification("two samples", [0.4, 0.6], [1, 0]),
        classification("only normal", [0.1, 0.2, 0.3], [0, 0, 0]),
        classification("only abnormal", [0.1, 0.2, 0.3], [1, 1, 1]),
        classification("empty", [], []),
    ]


def components(masks):
    """One boolean array over the whole set for each 8-connected component."""
    found = []
    for image, mask in enumerate(masks):
        labelled, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
        for i in range(1, count + 1):
            whole = np.zeros(masks.shape, dtype=bool)
            whole[image] = labelled == i
            found.append(whole)
    return found


def pro_exact(maps, masks):
    """MVTec's variant: a point per distinct score, mean recall of components, area to 0.3."""
    parts, good = components(masks), masks == 0
    if not parts or not good.any():
        return None
    points = [(0.0, 0.0)]
    for threshold in np.unique(maps)[::-1]:
        chosen = maps >= threshold
        recall = np.mean([(chosen & part).sum() / part.sum() for part in parts])
        points.append(((chosen & good).sum() / good.sum(), recall))
    area = 0.0
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        if x0 >= FPR_LIMIT:
            break
        if x1 > FPR_LIMIT:
            y1 = y0 + (y1 - y0) * (FPR_LIMIT - x0) / (x1 - x0)
            x1 = FPR_LIMIT
        area += (x1 - x0) * (y0 + y1) / 2
    return area / FPR_LIMIT


def pro_by_sorting(maps, masks):
    """The same from one descending sort and cumulative sums."""
    parts, good = components(masks), masks == 0
    if not parts or not good.any():
        return None
    gain = sum(part / part.sum() for part in parts) / len(parts)
    order = np.argsort(-maps.ravel(), kind="stable")
    scores = maps.ravel()[order]
    last_of_tie = np.append(scores[1:] != scores[:-1], True)
    fpr = np.append(0, (np.cumsum(good.ravel()[order]) / good.sum())[last_of_tie])
    pro = np.append(0, np.cumsum(gain.ravel()[order])[last_of_tie])
    inside = fpr <= FPR_LIMIT
    x, y = fpr[inside], pro[inside]
    if not inside.all():
        i = len(x)
        at_limit = y[-1] + (pro[i] - y[-1]) * (FPR_LIMIT - x[-1]) / (fpr[i] - x[-1])
        x, y = np.append(x, FPR_LIMIT), np.append(y, at_limit)
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / FPR_LIMIT)


def pro_linear(maps, masks):
    """The zero-shot baselines' variant: 200 linear thresholds, FPR < 0.3 stretched to 0..1."""
    parts, good = components(masks), masks == 0
    low, high = maps.min(), maps.max()
    if not parts or not good.any() or low == high:
        return None
    thresholds = low + np.arange(LINEAR_STEPS) * (high - low) / LINEAR_STEPS
    # A score on a threshold would make the value hang on the last bit of the arithmetic;
    # the first threshold is exact.
    gaps = np.abs(maps.ravel()[:, None] - thresholds[None, 1:]).min()
    assert gaps > 1e-6 * (high - low), gaps
    fpr, pro = [], []
    for threshold in thresholds:
        chosen = maps > threshold
        fpr.append((chosen & good).sum() / good.sum())
        pro.append(np.mean([(chosen & part).sum() / part.sum() for part in parts]))
    fpr, pro = np.array(fpr), np.array(pro)
    kept = fpr < FPR_LIMIT
    if not kept.any() or fpr[kept].max() == fpr[kept].min():
        return None
    x = (fpr[kept] - fpr[kept].min()) / (fpr[kept].max() - fpr[kept].min())
    # FPR falls as the threshold rises.
    return float(np.sum((x[:-1] - x[1:]) * (pro[kept][:-1] + pro[kept][1:]) / 2))


def pixel_case(name, maps, masks):
    """maps and masks `[images, 32, 32]`."""
    shape = np.shape(maps)
    maps, masks = np.array(shortest(maps)).reshape(shape), np.asarray(masks, dtype=np.uint8)
    exact, sorting = pro_exact(maps, masks), pro_by_sorting(maps, masks)
    labels, scores = masks.ravel().tolist(), maps.ravel().tolist()
    defined = both_classes(labels)
    assert exact == sorting or abs(exact - sorting) < 1e-12, (name, exact, sorting)
    return {
        "name": name,
        "height": shape[1],
        "width": shape[2],
        "images": [
            {"map": values.ravel().tolist(), "mask": mask.ravel().tolist()} for values, mask in zip(maps, masks)
        ],
        "pixel_auroc": float(roc_auc_score(labels, scores)) if defined else None,
        "pixel_ap": float(average_precision_score(labels, scores)) if defined else None,
        "pro_mvtec": None if exact is None else float(exact),
        "pro_zsad": pro_linear(maps, masks),
    }


def pixel_cases():
    rng = np.random.default_rng(23)
    side = 32

    def noise(smooth):
        field = ndimage.gaussian_filter(rng.standard_normal((side, side)), smooth)
        return field / field.std()

    def blank(n):
        return np.zeros((n, side, side), dtype=np.uint8)

    # Components of very different size; a diagonal touch that only 8 neighbours join; one
    # component at the border; one normal image.
    masks = blank(3)
    masks[0, 4:16, 5:20] = 1
    masks[0, 25:27, 28:32] = 1
    masks[1, 10, 10] = masks[1, 11, 11] = masks[1, 12, 12] = 1
    masks[1, 20:24, 3:9] = 1
    maps = np.stack([noise(1.5) + 1.7 * ndimage.gaussian_filter(mask.astype(float), 1) for mask in masks])
    maps = np.round((maps - maps.min()) / (maps.max() - maps.min()), 4)
    # Moved off the thresholds of the linear variant, which are multiples of 0.005.
    maps = np.where((maps > 0) & (maps < 1), maps + 1.7e-5, maps)
    continuous = pixel_case("several components", maps, masks)

    # 38 levels only: long ties, among them across the 0.3 limit.
    masks = blank(2)
    masks[0, 0:3, :] = 1
    masks[0, 8:20, 8:12] = 1
    masks[0, 14:16, 4:24] = 1
    masks[1, 31, 31] = 1
    maps = np.stack([noise(2) + 1.2 * mask for mask in masks])
    maps = (maps - maps.min()) / (maps.max() - maps.min())
    levels = 37
    ties = pixel_case("few levels", np.round(maps * levels) / levels, masks)

    # Steps so wide that one tie jumps over the whole range up to 0.3.
    masks = blank(2)
    masks[0, 6:12, 6:12] = 1
    masks[1, 20:30, 2:5] = 1
    maps = np.zeros((2, side, side))
    maps[:, :, 16:] = 0.403
    maps[0, 6:9, 6:12] = 1
    maps[0, 2, 2] = 0.7531
    maps[1, 20:25, 2:5] = 0.7531
    steps = pixel_case("one jump over the limit", maps, masks)

    masks = blank(1)
    masks[0, 3:7, 3:7] = 1
    return [
        continuous,
        ties,
        steps,
        pixel_case("perfect map", masks.astype(float), masks),
        pixel_case("constant map", np.full((1, side, side), 0.25), masks),
        pixel_case("no defect", maps[:1], blank(1)),
        pixel_case("nothing but defect", maps[:1], blank(1) + 1),
    ]


def main():
    cases = {"classification": classification_cases(), "pixel": pixel_cases()}
    path = FIXTURES / "eval" / "metrics.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for kind, entries in cases.items():
        body = ",\n".join(json.dumps(entry, allow_nan=False, separators=(",", ":")) for entry in entries)
        lines.append(f"{json.dumps(kind)}: [\n{body}\n]")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{path.name:32} {path.stat().st_size:>9,} bytes")
    for entry in cases["classification"]:
        print(f"    {entry['name']:32} auroc {entry['auroc']} ap {entry['ap']}")
    for entry in cases["pixel"]:
        values = " ".join(f"{key} {entry[key]}" for key in ("pixel_auroc", "pixel_ap", "pro_mvtec", "pro_zsad"))
        print(f"    {entry['name']:32} {values}")
