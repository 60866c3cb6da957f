"""Compiles driver.c for ARM and runs it under qemu: what the board's processor would compute."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pynn_models.spinnaker import (
    C_DIRECTORY,
    NativeParameters,
    NativeState,
    neuron_words,
    population_words,
)
from pynn_models.spinnaker.gated_parameters import GatedParameters
from pynn_models.spinnaker.gated_words import Clock, gated_words, shared_words

Int32Array = NDArray[np.int32]

COMPILER, EMULATOR = "arm-none-eabi-gcc", "qemu-arm"
DRIVER = Path(__file__).with_name("driver.c")
GATED_DRIVER = Path(__file__).with_name("gated_driver.c")
FLAGS = (
    "-std=c99", "-mcpu=arm968e-s", "-ffreestanding",
    "-Wall", "-Wextra", "-Wpedantic", "-Werror",
)  # fmt: skip
# What the same C is compiled with: every way must compute the same.
BUILDS = {
    "arm": ("-marm", "-O2"),
    "arm, as sPyNNaker compiles": ("-marm", "-Ofast"),
    "arm, portable C": ("-marm", "-O2", "-DSTATE_SPACE_PORTABLE"),
    "arm, unoptimised": ("-marm", "-O0"),
    "thumb": ("-mthumb", "-Os", "-fomit-frame-pointer"),
}


def missing_tools() -> list[str]:
    """The programs that are not installed; Debian: gcc-arm-none-eabi and qemu-user."""
    return [program for program in (COMPILER, EMULATOR) if shutil.which(program) is None]


def build(executable: Path, *options: str, driver: Path = DRIVER) -> Path:
    """A driver -> executable, with further compiler ``options``."""
    link = ("-nostdlib", "-static", "-I", str(C_DIRECTORY), str(driver), "-lgcc")
    subprocess.run([COMPILER, *FLAGS, *options, *link, "-o", str(executable)], check=True)
    return executable


def build_all(directory: Path, driver: Path = DRIVER) -> dict[str, Path]:
    """Executables of a driver in a directory, one for each of `BUILDS`."""
    return {
        name: build(directory / f"driver{i}", *options, driver=driver)
        for i, (name, options) in enumerate(BUILDS.items())
    }


def run(
    executable: Path,
    parameters: NativeParameters,
    u: Int32Array,
    *,
    first_step: int = 0,
    period: int = 0,
    tick: int = 0,
    initial: NativeState | None = None,
    emulator_options: tuple[str, ...] = (),
) -> tuple[NDArray[np.bool_], Int32Array, Int32Array]:
    """u (L, H) -> spikes (L, H), Y (L, H) and the neurons' words at the end (H, words)."""
    steps, size = u.shape
    words = neuron_words(parameters, initial)
    shared = population_words(parameters, first_step, period)
    head = struct.pack("<11I", size, tick, steps, *shared)
    done = subprocess.run(
        [EMULATOR, "-cpu", "arm946", *emulator_options, str(executable)],
        input=head + words.astype("<i4").tobytes() + u.astype("<i4").tobytes(),
        stdout=subprocess.PIPE,
        check=True,
    )
    result = np.frombuffer(done.stdout, "<i4").astype(np.int32)
    ticks = result[: steps * size * 2].reshape(steps, size, 2)
    return ticks[:, :, 1] == 1, ticks[:, :, 0], result[steps * size * 2 :].reshape(words.shape)


def run_gated(
    executable: Path,
    parameters: GatedParameters,
    arriving: Int32Array,
    values: Int32Array,
    clock: Clock,
    *,
    tick: int = 0,
    emulator_options: tuple[str, ...] = (),
) -> tuple[NDArray[np.bool_], Int32Array, Int32Array, Int32Array]:
    """arriving (L, H, receptors), values (L, sources) -> spikes, Y, what is sent (L, H), words."""
    steps, size = arriving.shape[:2]
    words = gated_words(parameters)
    shared = shared_words(parameters, clock)
    rows = np.concatenate([values.reshape(steps, -1), arriving.reshape(steps, -1)], axis=1)
    done = subprocess.run(
        [EMULATOR, "-cpu", "arm946", *emulator_options, str(executable)],
        input=struct.pack("<3I", size, tick, steps) + shared.astype("<u4").tobytes()
        + words.astype("<i4").tobytes() + rows.astype("<i4").tobytes(),
        stdout=subprocess.PIPE,
        check=True,
    )  # fmt: skip
    result = np.frombuffer(done.stdout, "<i4").astype(np.int32)
    ticks = result[: steps * size * 3].reshape(steps, size, 3)
    left = result[steps * size * 3 :].reshape(words.shape)
    return ticks[:, :, 1] == 1, ticks[:, :, 0], ticks[:, :, 2], left


def count_instructions(executable: Path, parameters: NativeParameters, u: Int32Array) -> int:
    """Instructions that the ticks of u (L, H) take: those of tick_neurons and all it calls."""
    return _counted(lambda options: run(executable, parameters, u, emulator_options=options))


def count_gated_instructions(
    executable: Path, parameters: GatedParameters, arriving: Int32Array, values: Int32Array
) -> int:
    """The same of neurons with gated inputs, as :func:`run_gated` takes them."""
    return _counted(
        lambda options: run_gated(
            executable, parameters, arriving, values, Clock(), emulator_options=options
        )
    )


def _counted(execute: Callable[[tuple[str, ...]], object]) -> int:
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "trace"
        execute(("-singlestep", "-d", "exec,nochain", "-D", str(log)))
        symbols = re.compile(r" (tick_neurons|state_space\S*|\S*div\S*)\n?$")
        with log.open() as lines:
            return sum(symbols.search(line) is not None for line in lines)
