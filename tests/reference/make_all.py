"""Writes every fixture of `tests/fixtures/model`, `tests/fixtures/eval` and `tests/fixtures/data`.

    python make_all.py [clip llama sam ltc projectors ablation metrics baselines coco composed dssl evidence tiny_vit]
"""

import sys

import torch

import ablation
import baselines
import clip
import coco
import composed
import dssl
import evidence
import llama
import ltc
import metrics
import projectors
import sam
import tiny_vit

PARTS = {
    "clip": clip.main,
    "llama": llama.main,
    "sam": sam.main,
    "ltc": ltc.main,
    "projectors": projectors.main,
    "ablation": ablation.main,
    "composed": composed.main,
    "dssl": dssl.main,
    "evidence": evidence.main,
    "metrics": metrics.main,
    "coco": coco.main,
    "baselines": baselines.main,
    "tiny_vit": tiny_vit.main,
}


def main():
    # One thread and fixed kernels: the order of sums, and so the last bit, stays the same.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with torch.no_grad():
        for name in sys.argv[1:] or PARTS:
            torch.manual_seed(0)
            PARTS[name]()


if __name__ == "__main__":
    main()
