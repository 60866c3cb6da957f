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

from pynn_models.spinnaker2 import C_DIRECTORY, neuron_words

DRIVER = Path(__file__).with_name("float_driver.c")
FLAGS = (
    "-std=c99", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard",
    "-ffp-contract=off", "-ffreestanding", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
    "-Wno-strict-aliasing",
)  # fmt: skip


def build(executable, *options):
    link = ("-nostdlib", "-static", "-I", str(C_DIRECTORY), str(DRIVER), "-lgcc")
    subprocess.run([COMPILER, *FLAGS, *options, *link, "-o", str(executable)], check=True)
    return executable


def run(executable, p, u, emulator_options=()):
    """u (L, H) -> spikes (L, H), y (L, H) and the neurons' words at the end (H, words)."""
    steps, size = u.shape
    words = neuron_words(p)
    head = struct.pack("<4I", size, p.a_re.shape[1], p.a_im.size > 0, steps)
    done = subprocess.run(
        [EMULATOR, "-cpu", "cortex-a15", *emulator_options, str(executable)],
        input=head + words.astype("<f4").tobytes() + u.astype("<f4").tobytes(),
        stdout=subprocess.PIPE,
        check=True,
    )
    result = np.frombuffer(done.stdout, "<f4").astype(np.float32)
    ticks = result[: steps * size * 2].reshape(steps, size, 2)
    return ticks[:, :, 1] == 1, ticks[:, :, 0], result[steps * size * 2 :].reshape(words.shape)


def count_instructions(executable, p, u):
    """Instructions that the ticks of u (L, H) take: those of tick_neurons, all inlined."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "trace"
        run(executable, p, u, ("-singlestep", "-d", "exec,nochain", "-D", str(log)))
        with log.open() as lines:
            return sum(re.search(r" tick_neurons\n?$", line) is not None for line in lines)
