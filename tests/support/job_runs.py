"""Board jobs for the tests: made, run in this process or in one of their own, and verified."""

import ast
import hashlib
import json
import os
import subprocess
import sys

import numpy as np

from export.command.arguments import main
from export.description import storage
from export.job import make as job
from export.job import runner as job_runner
from export.job.settings import BoardSettings
from snn_ssm.tasks import Samples
from support.random_networks import checkpoint_of, samples_of

CHECKPOINT = checkpoint_of(5, steps=20)
SAMPLES = Samples(samples_of(CHECKPOINT, 8), np.arange(8) % 3)


def make(folder, network, samples):
    """The network and its job in ``folder``, which is returned."""
    storage.save_network(network, folder / "network")
    job.make_job(folder / "network", samples, folder / "job", BoardSettings())
    return folder


def manifest_of(bundle):
    text = (bundle / "manifest.py").read_text()
    return ast.literal_eval(text[text.index("{") :])


def run_here(bundle, *arguments):
    """The runner in this process: fast, with the checkout's code."""
    return job_runner.main(bundle, manifest_of(bundle), [str(a) for a in arguments])


def start(bundle, *arguments, cwd, **environment):
    """``python run.py`` as a process, numba's compiler off: the networks are small."""
    command = [sys.executable, str(bundle / "run.py"), *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"} | environment,
    )


def run_there(bundle, *arguments, **options):
    process = start(bundle, *arguments, **options)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def verify(files, results, *more):
    arguments = ["verify", files / "network", "--recording", results, *more]
    if "--data" not in more:
        arguments += ["--data", files / "job" / "inputs.npz"]
    return main([str(a) for a in arguments])


def rewrite(path, **changes):
    """Change a chunk's JSON file as a stranger would: its own digest is made to fit."""
    content = json.loads(path.read_text()) | changes
    content.pop("json_sha256", None)
    seal = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(content | {"json_sha256": seal}))


def refusal(capsys, call, *arguments):
    capsys.readouterr()
    assert call(*arguments) == 2
    return capsys.readouterr().err
