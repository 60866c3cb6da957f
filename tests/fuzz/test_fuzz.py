"""Mutated files of every format that is read: each is read, or refused by an error of ours.

2,000 mutants here, 100,000 with ``-m slow``; as many as you like, with a count of outcomes:

    PYTHONPATH=tests python tests/fuzz/test_fuzz.py 5000
"""

import collections
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from support.fuzzed_formats import FORMATS, mutate

from pynn_models import SnnSsmError

MUTANTS = 100  # of each format
SLOWEST = 20.0  # seconds that reading a mutant may take


def sound(fmt, directory):
    """The contents of a format's files before anything happens to them."""
    fmt.make(directory)
    fmt.read(directory)
    return {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}


def outcome(fmt, directory, files):
    """The class of what reading did; what is none of ours is raised."""
    for name, content in files.items():
        (directory / name).write_bytes(content)
    begun = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fmt.read(directory)
            found = "read"
        except SnnSsmError as error:
            found = type(error).__name__
    assert time.monotonic() - begun < SLOWEST
    return found


def fuzz(fmt, directory, seed, count):
    """Outcomes of a format's mutants, counted, and the failures: (number, kind, traceback)."""
    files, outcomes, failures = sound(fmt, directory), collections.Counter(), []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        mutant, kind = mutate(fmt, rng, files)
        try:
            outcomes[outcome(fmt, directory, mutant)] += 1
        except Exception as error:
            outcomes[f"TRACEBACK {type(error).__name__}"] += 1
            failures.append((number, kind, traceback.format_exc(limit=-4)))
    return outcomes, failures


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_only_errors_of_ours(tmp_path, fmt):
    outcomes, failures = fuzz(fmt, tmp_path, 1, MUTANTS)
    assert not failures, "\n".join(map(str, failures))
    assert sum(outcomes.values()) == MUTANTS and outcomes.total() > outcomes["read"]


@pytest.mark.slow
@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_only_errors_of_ours_in_very_many(tmp_path, fmt):
    _, failures = fuzz(fmt, tmp_path, 2, 50 * MUTANTS)
    assert not failures, "\n".join(map(str, failures[:5]))


def test_the_mutants_of_a_seed_are_always_the_same(tmp_path):
    fmt = FORMATS[2]
    files = sound(fmt, tmp_path)
    found = [mutate(fmt, np.random.default_rng(5), files) for _ in range(2)]
    assert found[0] == found[1] and found[0][0] != files


def main(count):
    """Print what became of ``count`` mutants of every format."""
    total, broken = collections.Counter(), 0
    for fmt in FORMATS:
        with tempfile.TemporaryDirectory() as directory:
            outcomes, failures = fuzz(fmt, Path(directory), 3, count)
        total += outcomes
        broken += len(failures)
        print(f"{fmt.name}: {dict(outcomes.most_common())}", flush=True)
        seen = set()
        for number, kind, text in failures:
            last = text.strip().splitlines()[-1][:60]
            if last not in seen:
                seen.add(last)
                print(f"  mutant {number} ({kind}):\n{text}")
    print(f"{total.total()} mutants, {broken} tracebacks: {dict(total.most_common())}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
