"""Expected values for the metrics of §11, on hand-made and random cases.

AUROC, AP and the best F1 come from scikit-learn. PRO in MVTec's form comes from MVTec's evaluation
code, which two packages carry: the curve from pyaupro, the area up to a limit from ADEval. ADEval's
own histograms compute it once more, and the baselines' form too. Every value is also written out
here, so that a case fails to be made where two of them disagree. `null` means the value is not
defined for the case.
"""

import json

import numpy as np

# ADEval was written for NumPy 1, where the function had this name.
np.trapz = np.trapezoid

from adeval import mem_effic  # noqa: E402
from adeval.au_pro import trapezoid  # noqa: E402
from pyaupro._reference import compute_pro  # noqa: E402
from scipy import ndimage  # noqa: E402
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score  # noqa: E402

from common import FIXTURES  # noqa: E402

FPR_LIMIT = 0.3
LINEAR_STEPS = 200
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)
# MVTec's code holds the false positive rate as f32, ADEval the weight of a region.
F32_ERROR = 3e-7


def shortest(values):
    """f32 values as the shortest decimals that read back to the same f32."""
    return [float(str(value)) for value in np.asarray(values, dtype=np.float32).ravel()]


def both_classes(labels):
    return 0 < sum(labels) < len(labels)


def f1_max(labels, scores):
    precision, recall, _ = precision_recall_curve(labels, scores)
    sums = precision + recall
    return float((2 * precision * recall / np.where(sums > 0, sums, 1)).max())


def classification(name, scores, labels):
    scores, labels = shortest(scores), [int(label) for label in labels]
    defined = both_classes(labels)
    return {
        "name": name,
        "scores": scores,
        "labels": labels,
        "auroc": float(roc_auc_score(labels, scores)) if defined else None,
        "ap": float(average_precision_score(labels, scores)) if defined else None,
        "f1_max": f1_max(labels, scores) if defined else None,
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
        classification("one defect among many ties", np.round(rng.random(301) * 3), np.arange(301) == 150),
        classification("one normal among many ties", np.round(rng.random(301) * 3), np.arange(301) != 150),
        classification("denormal steps", np.arange(9) % 5 * 1.4e-45, np.arange(9) % 2),
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


def pro_of_mvtec(maps, masks):
    """MVTec's own code: the exact curve, and its area up to the limit."""
    if not components(masks) or not (masks == 0).any():
        return None
    fpr, pro = compute_pro(list(maps), list(masks))
    return float(trapezoid(fpr, pro, x_max=FPR_LIMIT) / FPR_LIMIT)


def pro_of_adeval(maps, masks):
    """ADEval's histograms, with bins so narrow that each holds one score at most.

    Its curve begins at the highest score and not at (0, 0), and it needs two scores: where the
    first step takes normal pixels too, it says nothing of the whole area.
    """
    parts, good = components(masks), masks == 0
    levels = np.unique(maps)
    if not parts or not good.any() or len(levels) < 2 or good[maps == levels[-1]].any():
        return None
    width = np.diff(levels).min() / (levels[-1] - levels[0])
    n_bins = int(np.clip(2.5 / width, 5, 4_000_000))
    return mem_effic.auroc_aupr_aupro(list(maps), list(masks.astype(np.uint8)), nstrips=n_bins)[2]


def linear_curve_of_adeval(maps, masks):
    """(FPR, PRO) of the linear thresholds from ADEval, the threshold at the top left out."""
    weights = [mem_effic._pro_weight(mask) for mask in masks.astype(np.uint8)]
    weighted = mem_effic._perform_accum(
        list(maps), weights, mem_effic.PosWeightStrategy.CopyFromTragets, nstrips=LINEAR_STEPS
    )
    fpr, pro, _ = weighted.weighted_roc()
    return fpr[:-1], pro[:-1]


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
    # The first threshold takes all but the lowest score here and all of them there.
    other = linear_curve_of_adeval(maps, masks)
    assert np.abs(np.subtract(fpr, other[0]))[1:].max() < F32_ERROR
    assert np.abs(np.subtract(pro, other[1]))[1:].max() < F32_ERROR
    fpr, pro = np.array(fpr), np.array(pro)
    kept = fpr < FPR_LIMIT
    if not kept.any() or fpr[kept].max() == fpr[kept].min():
        return None
    return float(auc((fpr[kept] - fpr[kept].min()) / (fpr[kept].max() - fpr[kept].min()), pro[kept]))


def pixel_case(name, maps, masks):
    """maps and masks `[images, 32, 32]`."""
    shape = np.shape(maps)
    maps, masks = np.array(shortest(maps)).reshape(shape), np.asarray(masks, dtype=np.uint8)
    exact, mvtec, adeval = (pro(maps, masks) for pro in (pro_exact, pro_of_mvtec, pro_of_adeval))
    labels, scores = masks.ravel().tolist(), maps.ravel().tolist()
    defined = both_classes(labels)
    assert exact == mvtec or abs(exact - mvtec) < F32_ERROR, (name, exact, mvtec)
    assert adeval is None or abs(exact - adeval) < F32_ERROR, (name, exact, adeval)
    return {
        "name": name,
        "height": shape[1],
        "width": shape[2],
        "images": [
            {"map": values.ravel().tolist(), "mask": mask.ravel().tolist()} for values, mask in zip(maps, masks)
        ],
        "pixel_auroc": float(roc_auc_score(labels, scores)) if defined else None,
        "pixel_ap": float(average_precision_score(labels, scores)) if defined else None,
        "pixel_f1_max": f1_max(labels, scores) if defined else None,
        "pro_mvtec": mvtec,
        "pro_zsad": pro_linear(maps, masks),
    }


def off_thresholds(maps):
    """Values of 0..1 moved off the thresholds of the linear variant, the multiples of 0.005."""
    return np.where((maps > 0) & (maps < 1), maps + 1.7e-5, maps)


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
    continuous = pixel_case("several components", off_thresholds(maps), masks)

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

    # Regions of one pixel, some of them touching at a corner, in noise of five levels.
    masks = blank(3)
    masks[0, 5::9, 3::7] = 1
    masks[1, 0, 0] = masks[1, 1, 1] = masks[1, 31, 0] = 1
    maps = np.stack([np.round(noise(1)) for _ in masks]) + 0.37 * masks
    # The highest score is a defect's, so that ADEval can have its say.
    maps[1, 0, 0] = maps.max() + 1
    maps = np.round((maps - maps.min()) / (maps.max() - maps.min()), 4)
    maps = off_thresholds(maps)
    dots = pixel_case("regions of one pixel, few levels", maps, masks)

    # Two sets in one: most masks are empty, one covers almost everything.
    masks = blank(5)
    masks[3, :, :31] = 1
    maps = np.stack([noise(3) + 0.5 * mask for mask in masks])
    maps = (maps - maps.min()) / (maps.max() - maps.min())
    crowded = pixel_case("one huge region among empty masks", off_thresholds(np.round(maps, 4)), masks)

    # Everything wrong: the defect is where the map is lowest.
    masks = blank(2)
    masks[0, 10:20, 10:20] = 1
    maps = np.stack([noise(2) - 9 * mask for mask in masks])
    maps = (maps - maps.min()) / (maps.max() - maps.min())
    inverted = pixel_case("inverted map", off_thresholds(np.round(maps, 4)), masks)

    masks = blank(1)
    masks[0, 3:7, 3:7] = 1
    return [
        continuous,
        ties,
        steps,
        dots,
        crowded,
        inverted,
        pixel_case("two levels, one jump", np.where(masks == 1, 0.75, np.arange(32) % 2 * 0.75), masks),
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
        print(f"    {entry['name']:32} auroc {entry['auroc']} ap {entry['ap']} f1 {entry['f1_max']}")
    for entry in cases["pixel"]:
        keys = ("pixel_auroc", "pixel_ap", "pixel_f1_max", "pro_mvtec", "pro_zsad")
        values = " ".join(f"{key} {entry[key]}" for key in keys)
        print(f"    {entry['name']:32} {values}")
