"""Started by ``test_allocation``: what it is told to, then the page faults of a large array.

In a process of its own: how the C library allocates is the whole process's, and for good.
"""

import json
import resource
import sys
from pathlib import Path

import torch

from snn_ssm.model.network import build_network
from snn_ssm.training.evaluation import evaluate
from snn_ssm.training.loop import train
from support.toy_problem import TEST, TRAIN, config_of

ELEMENTS = 2**24  # of float32: 64 MiB, above the 32 that glibc may keep by itself


def faults_of_a_large_array():
    """The fewest page faults of making an array where earlier ones have been freed.

    Of several: a small object that takes the end of a freed array makes the next one too long for
    its place. Without the setting every array is mapped anew, and each faults.
    """
    return min(faults_of(torch.ones) for _ in range(8))


def faults_of(make):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    make(ELEMENTS)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def main(what, out):
    digest = None
    if what == "train":
        digest = train(config_of(epochs=1), TRAIN, TEST, Path(out))["model_sha256"]
    if what == "evaluate":
        evaluate(build_network(config_of().model), TEST)
    print(json.dumps({"model": digest, "faults": faults_of_a_large_array()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
