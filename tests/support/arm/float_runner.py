"""Compiles float_driver.c for a Cortex-M4F and runs it under qemu.

qemu has no Cortex-M4 in user mode; a Cortex-A15 has its instructions and its floating point.
"""

import re
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from support.arm.runner import COMPILER, EMULATOR

from pynn_models.spinnaker2 import (
    C_DIRECTORY,
    ActingParameters,
    acting_shared,
    gated_shared,
    gated_words,
    neuron_words,
)
from pynn_models.spinnaker2.tables import FLOAT_KINDS, SIGMOID

DRIVER = Path(__file__).with_name("float_driver.c")
GATED_DRIVER = Path(__file__).with_name("gated_float_driver.c")
FLAGS = (
    "-std=c99", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard",
    "-ffp-contract=off", "-ffreestanding", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
    "-Wno-strict-aliasing",
)  # fmt: skip


# What the same C is compiled with: every way must compute the same.
BUILDS = {"O2": ("-O2",), "O0": ("-O0", "-fomit-frame-pointer"), "Os": ("-Os",), "O3": ("-O3",)}


def build(executable, *options, driver=DRIVER):
    link = ("-nostdlib", "-static", "-I", str(C_DIRECTORY), str(driver), "-lgcc")
    subprocess.run([COMPILER, *FLAGS, *options, *link, "-o", str(executable)], check=True)
    return executable


def build_all(directory, driver=DRIVER):
    """Executables of a driver in a directory, one for each of `BUILDS`."""
    return {
        name: build(directory / f"driver{i}", *options, driver=driver)
        for i, (name, options) in enumerate(BUILDS.items())
    }


def run(executable, p, u, emulator_options=()):
    """u (L, H) -> spikes (L, H), y (L, H) and the neurons' words at the end (H, words)."""
    steps, size = u.shape
    words = neuron_words(p)
    acting = isinstance(p, ActingParameters)
    shared = acting_shared(p) if acting else [p.a_re.shape[1], p.a_im.size > 0, 0, 0, 0]
    head = struct.pack("<9I", size, words.shape[1], acting, steps, *shared)
    done = subprocess.run(
        [EMULATOR, "-cpu", "cortex-a15", *emulator_options, str(executable)],
        input=head + words.astype("<f4").tobytes() + u.astype("<f4").tobytes(),
        stdout=subprocess.PIPE,
        check=True,
    )
    result = np.frombuffer(done.stdout, "<f4").astype(np.float32)
    ticks = result[: steps * size * 2].reshape(steps, size, 2)
    return ticks[:, :, 1] == 1, ticks[:, :, 0], result[steps * size * 2 :].reshape(words.shape)


def run_gated(executable, p, arriving, emulator_options=()):
    """``arriving``: what ``support.float_networks.random_inputs`` gives -> spikes, y, words."""
    steps, size = len(arriving.spikes), len(p.bias)
    words, shared = np.concatenate(gated_words(p)), gated_shared(p)
    kind, branches, *graded = shared
    table = SIGMOID if p.branches is None else FLOAT_KINDS[p.branches.kind].table
    sent = np.concatenate([np.zeros((steps, 0)), *arriving.values], axis=1).astype("<f4")
    head = struct.pack(
        "<11If", size, p.cell.a_re.shape[1], p.cell.a_im.size > 0, steps, len(words), len(graded),
        sent.shape[1], p.scale.shape[1], len(arriving.weights), kind, branches, table.per_unit,
    )
    rows = b"".join(
        struct.pack("<I", receptor) + weights.astype(np.int8).tobytes()
        for receptor, weights in zip(arriving.receptors, arriving.weights, strict=True)
    )
    ticks = b"".join(
        sent[k].tobytes() + arriving.spikes[k].astype("<u4").tobytes() for k in range(steps)
    )
    done = subprocess.run(
        [EMULATOR, "-cpu", "cortex-a15", *emulator_options, str(executable)],
        input=head + table.entries.astype("<f4").tobytes()
        + np.array(graded, "<u4").tobytes() + words.astype("<f4").tobytes() + rows + ticks,
        stdout=subprocess.PIPE,
        check=True,
    )
    result = np.frombuffer(done.stdout, "<f4")
    found = result[: steps * size * 2].reshape(steps, size, 2)
    return found[:, :, 1] == 1, found[:, :, 0], result[steps * size * 2 :]


def counted(start, name="tick_neurons"):
    """Instructions of a function, all inlined, in what ``start(emulator_options)`` runs."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "trace"
        start(("-singlestep", "-d", "exec,nochain", "-D", str(log)))
        with log.open() as lines:
            return sum(re.search(rf" {name}\n?$", line) is not None for line in lines)


def count_instructions(executable, p, u):
    """Instructions that the ticks of u (L, H) take."""
    name = "tick_acting" if isinstance(p, ActingParameters) else "tick_neurons"
    return counted(lambda options: run(executable, p, u, options), name)


def count_gated(executable, p, arriving, name="tick_neurons"):
    """The same of :func:`run_gated`; ``receive_spike``: of the spikes that arrive."""
    return counted(lambda options: run_gated(executable, p, arriving, options), name)
