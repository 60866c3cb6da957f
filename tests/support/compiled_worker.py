"""Started by ``test_training_compiled``: prints how far off the gradients of two runs are.

In a process of its own, which never loads NEST: compiled code crashes with its OpenMP.
"""

import json
from pathlib import Path

import torch

from snn_ssm.training.batches import Batch
from snn_ssm.training.distributed import World
from snn_ssm.training.run import Run
from support.toy_problem import TRAIN, config_of

MODEL = {"mixing": "gsu", "activation": "ternary-constant", "gsu_norm": "batch", "dropout": 0.0}


def gradients(run: Run) :
    """Logits and all gradients of a batch, in float64, in one vector."""
    p, label = torch.from_numpy(TRAIN.inputs[:16]), torch.from_numpy(TRAIN.labels[:16])
    out = run.forward(p)
    run.objective(out, Batch(p, label, None), 16).backward()
    found = [out.logits, *(p.grad for p in run.network.parameters())]
    return torch.cat([x.detach().double().flatten() for x in found])


def main():
    config = config_of(**MODEL)
    exact, plain, fused = (
        Run(config, Path(), World(), compile_step) for compile_step in (False, False, True)
    )
    exact.network.double()
    truth = gradients(exact)
    errors = [(gradients(run) - truth).norm() / truth.norm() for run in (plain, fused)]
    print(json.dumps([float(error) for error in errors]))


if __name__ == "__main__":
    main()
