"""Kills runs at random moments and starts them again, until they are through; prints what came.

    python kill_worker.py train|job|write DIRECTORY KILLS SEED

One process that has everything imported forks a run, sends it SIGKILL after a random time, and
forks the next: hundreds of kills a minute, most of them while files are written. At the end every
file must be, byte for byte, what an undisturbed run wrote; times are left out.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from snn_ssm.files import read_arrays, was_cut_short
from support.toy_problem import without_times


def forked(action, out):
    """A process that does ``action`` and nothing else; its output goes to the file ``out``."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        code = int(action() or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def finished(child, seconds=None, changes=None):
    """Whether a child ended by itself, and well; killed ``seconds`` after it began to write.

    ``changes()`` says what is on the disk. Without one the time counts from the start.
    """
    before = changes and changes()
    end = None if seconds is None or changes else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, 0 if seconds is None else os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0 or sys.exit(f"ended with {status}")
        if end is None and changes() != before:
            end = time.monotonic() + seconds
        if end is not None and time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            return not os.WIFSIGNALED(status)
        time.sleep(0.0003)


def seen(directory):
    """Names of all folders, and names, sizes and times of all files, as far as written."""
    found = []
    for root, _, files in os.walk(directory):  # which passes over a folder that is gone by now
        found.append((root,))
        for path in (os.path.join(root, name) for name in sorted(files)):
            try:
                status = os.stat(path)
                found.append((path, status.st_size, status.st_mtime_ns))
            except FileNotFoundError:  # renamed since
                found.append((path,))
    return found


def train(directory, name):
    """The action that trains into a directory, or goes on there, and what it leaves."""
    import torch

    from snn_ssm.training import loop, run
    from support.toy_problem import TEST, TRAIN, config_of

    torch.set_num_threads(1)
    weight = torch.ones(1, requires_grad=True)  # what torch imports late, it imports here, once
    weight.sum().backward()
    torch.optim.AdamW([weight]).step()
    out = directory / name

    def action():
        run._SAVE_EVERY = -1.0  # a state after every batch
        resume = (out / "state.safetensors").exists() or was_cut_short(out)
        loop.train(config_of(epochs=2), TRAIN, TEST, out, resume=resume)

    def left():
        metrics = without_times(json.loads((out / "metrics.json").read_text()))
        state, metadata = read_arrays(out / "state.safetensors", "state")
        progress = without_times(json.loads(metadata["progress"]))
        files = {p: (out / p).read_bytes() for p in ("model.safetensors", "config.toml")}
        arrays = {k: v.tobytes() for k, v in state.items()}
        return [sorted(p.name for p in out.iterdir()), metrics, progress, files, arrays]

    return action, left


def job(directory, name):
    """The action that runs a job, and what it leaves."""
    from export.job import runner
    from export.lowering.network import lower
    from support.job_runs import CHECKPOINT, SAMPLES, make, manifest_of

    if not (directory / "job").exists():
        make(directory, lower(CHECKPOINT), SAMPLES)
    bundle, out = directory / "job", directory / name
    manifest = manifest_of(bundle)

    def action():
        return runner.main(bundle, manifest, ["software", "--chunk", "1", "--out", str(out)])

    def left():
        found = {}
        for path in sorted(out.iterdir()):
            content = path.read_bytes()
            if path.suffix == ".json":
                content = without_times(json.loads(content))
                content.pop("json_sha256", None)
            found[path.name] = None if path.suffix == ".mat" else content  # which has a date
        return found

    return action, left


def write(directory, name):
    """The action that writes a network, a checkpoint's two files and a job, and what it leaves."""
    from export.description import storage
    from export.job.make import make_job
    from export.lowering.network import lower
    from snn_ssm.checkpoint import load_checkpoint, save_checkpoint
    from support.job_runs import CHECKPOINT, SAMPLES
    from support.random_networks import checkpoint_of

    out = directory / name
    out.mkdir(exist_ok=True)
    network = lower(CHECKPOINT)
    if not (out / "checkpoint").exists():
        (out / "checkpoint").mkdir()
        save_checkpoint(out / "checkpoint", CHECKPOINT)

    def action():
        load_checkpoint(out / "checkpoint")  # whenever it was killed: two files that fit
        for seed in range(6, 26):
            save_checkpoint(out / "checkpoint", checkpoint_of(seed, steps=20))
        for seed in range(3):
            if (out / f"network{seed}").exists():
                storage.load_network(out / f"network{seed}")  # whole, if it is there
            else:
                storage.save_network(network, out / f"network{seed}")
        if not (out / "job").exists():
            make_job(out / "network0", SAMPLES, out / "job")

    def left():
        return {
            p.relative_to(out).as_posix(): p.read_bytes()
            for p in sorted(out.rglob("*")) if p.is_file() and not p.name.endswith(".part")
        }

    return action, left


def main(what, directory, kills, seed):
    """Kill until there were so many kills; 0 where every run came to the same."""
    prepare = {"train": train, "job": job, "write": write}[what]
    directory.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    action, left = prepare(directory, "reference")
    for _ in range(2):  # the first one also loads what is loaded late
        begun = time.monotonic()
        finished(forked(action, directory.parent / f"{directory.name}.log"))
        whole = time.monotonic() - begun
    expected, log = left(), directory.parent / f"{directory.name}.log"
    killed = runs = early = 0
    while killed < kills:
        action, left = prepare(directory, f"run{runs}")
        in_a_row = rng.randrange(1, 5)
        while True:
            seconds = rng.random() * whole * rng.choice((0.02, 0.2, 1.0)) if in_a_row else None
            changes = (lambda: seen(directory)) if seconds and rng.random() < 0.8 else None
            if finished(forked(action, log), seconds, changes):
                break
            killed, in_a_row = killed + 1, in_a_row - 1
            early += not (directory / f"run{runs}").exists()
        runs += 1
        leftovers = [p.name for p in directory.rglob("*.part")]
        if left() != expected or leftovers:
            print(f"{what}: run {runs - 1} of seed {seed} came to something else, {leftovers}")
            return 1
    print(f"{what}: {killed} kills in {runs} runs, {early} before anything was written; all the "
          "same bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
