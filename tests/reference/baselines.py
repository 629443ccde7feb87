"""Expected values for the detectors that a model stands against (`vmad_eval::baseline`).

Covariances come from scikit-learn and NumPy, distances from SciPy, nearest neighbours from
scikit-learn, blurs from SciPy's ndimage.
"""

import json

import numpy as np
from scipy import ndimage
from scipy.spatial.distance import cdist, mahalanobis
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from common import FIXTURES

FLOOR = 1e-8


def shortest(values):
    """f32 values as the shortest decimals that read back to the same f32."""
    return [float(str(value)) for value in np.asarray(values, dtype=np.float32).ravel()]


def features(rng, n_images, rows, columns, d):
    """`[n_images, rows * columns, d]`: correlated, with a mean and a scale of their own at each place."""
    mix = rng.standard_normal((rows * columns, d, d)) * np.exp(rng.standard_normal((rows * columns, 1, d)))
    mean = 3 * rng.standard_normal((rows * columns, d))
    values = np.einsum("npk,pkd->npd", rng.standard_normal((n_images, rows * columns, d)), mix) + mean
    return values.astype(np.float32)


def padim(name, n_normal, rows, columns, d, seed):
    rng = np.random.default_rng(seed)
    every = features(rng, n_normal + 1, rows, columns, d)
    normal, test = every[:-1].astype(np.float64), every[-1].astype(np.float64)

    def distances(covariance):
        found = []
        for place in range(rows * columns):
            matrix = covariance(normal[:, place]) + FLOOR * np.eye(d)
            found.append(mahalanobis(test[place], normal[:, place].mean(axis=0), np.linalg.inv(matrix)))
        return found

    return {
        "name": name,
        "shape": [rows, columns, d],
        "normal": [shortest(image) for image in every[:-1]],
        "test": shortest(every[-1]),
        "ledoit_wolf": distances(lambda x: LedoitWolf().fit(x).covariance_),
        "ridge": distances(lambda x: np.cov(x, rowvar=False) + 0.01 * np.eye(d)),
    }


def coreset(patches, n_kept):
    """Greedy k-centre from the first patch on."""
    chosen = [0]
    while len(chosen) < n_kept:
        nearest = cdist(patches, patches[chosen]).min(axis=1)
        chosen.append(int(nearest.argmax()))
    return chosen


def patchcore(name, n_normal, rows, columns, d, share, neighbours, seed):
    rng = np.random.default_rng(seed)
    every = features(rng, n_normal + 1, rows, columns, d)
    patches = every[:-1].reshape(-1, d).astype(np.float64)
    test = every[-1].astype(np.float64)
    bank = patches[coreset(patches, round(len(patches) * share))]
    distances, indices = (x[:, 0] for x in NearestNeighbors(n_neighbors=1).fit(bank).kneighbors(test))
    worst = distances.argmax()
    around = NearestNeighbors(n_neighbors=neighbours).fit(bank).kneighbors(bank[[indices[worst]]])[1][0]
    others = np.linalg.norm(bank[around] - test[worst], axis=1)
    weight = 1 - np.exp(distances[worst]) / np.exp(others).sum()
    return {
        "name": name,
        "shape": [rows, columns, d],
        "normal": [shortest(image) for image in every[:-1]],
        "test": shortest(every[-1]),
        "share": share,
        "neighbours": neighbours,
        "n_bank": len(bank),
        "map": distances.tolist(),
        "score": float(distances[worst]),
        "reweighted": float(weight * distances[worst]),
    }


def contrast(name, planes, height, width, fine, coarse, radius, floor, seed):
    picture = np.random.default_rng(seed).random((planes, height, width)).astype(np.float32)
    exact = picture.astype(np.float64)
    blur = lambda plane, sigma: ndimage.gaussian_filter(plane, sigma, mode="reflect", truncate=4.0)
    dog = np.sqrt(sum((blur(plane, fine) - blur(plane, coarse)) ** 2 for plane in exact))
    squares = np.zeros((height, width))
    for plane in exact:
        for y in range(height):
            for x in range(width):
                window = plane[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]
                squares[y, x] += ((plane[y, x] - window.mean()) / (window.std() + floor)) ** 2
    return {
        "name": name,
        "size": [width, height],
        "picture": shortest(picture),
        "fine": fine,
        "coarse": coarse,
        "radius": radius,
        "floor": floor,
        "dog": dog.ravel().tolist(),
        "z_score": np.sqrt(squares).ravel().tolist(),
    }


def rounded(value):
    """Nine digits say more than f32 holds."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return value


def main():
    cases = {
        "padim": [
            padim("more images than features", 13, 1, 2, 3, seed=1),
            padim("fewer images than features", 3, 2, 1, 7, seed=2),
        ],
        "patchcore": [
            patchcore("a third of the patches", 5, 3, 1, 4, 1 / 3, 3, seed=3),
            patchcore("all patches", 2, 1, 5, 1, 1.0, 2, seed=4),
        ],
        "contrast": [
            contrast("colour", 3, 7, 11, 0.8, 1.9, 2, 0.05, seed=5),
            contrast("blur wider than the picture", 1, 4, 3, 0.5, 6.0, 3, 0.1, seed=6),
        ],
    }
    path = FIXTURES / "eval" / "baselines.json"
    path.write_text(json.dumps(rounded(cases), indent=1) + "\n")
    print(f"{path.name:32} {path.stat().st_size:>9,} bytes")
