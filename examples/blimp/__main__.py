"""An altitude controller of spiking neurons, in a closed loop with a blimp that is simulated.

    python examples/blimp data DIR      # flights of a PID controller, to learn from
    python examples/blimp fly           # the network flies: in software, in NEST, on a board
    python examples/blimp fly --checkpoint RUN --backends software,board --out flight.png

NEST gets the network with cells of its own, the board with those that SpiNNaker has. After (not as)
Burgers, Stroobants and de Croon, arXiv 2309.12937.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from world import SENSORS, UNITS, Array, Blimp, Pid, PopulationCode

from export import lower
from export.boards import EMULATED, Board
from export.streaming import BoardSession, NestSession, Session, lengthened
from snn_ssm import Checkpoint, load_checkpoint

SHIPPED = Path(__file__).parent / "checkpoint"
FLIGHTS = {"train": 1500, "test": 100}
STEPS = 600  # of a flight to learn from: 30 s
SHOWN = 1200  # of the flight that is shown: 60 s
SLOWER = 10  # of a tick of 1 ms: the host has 10 ms to answer, and a minute takes 12 s

Controller = Callable[[NDArray[np.uint8]], Array | None]


def teach(flights: int, seed: int) -> dict[str, NDArray[np.generic]]:
    """Flights of the teacher, which errs at random: spikes (B, 32, L), its two parts (B, 2, L)."""
    rng = np.random.default_rng(seed)
    blimp = Blimp(rng.uniform(-0.04, 0.04, flights), rng.uniform(-1.0, 1.0, flights))
    pid, code = Pid(flights), PopulationCode(flights)
    wanted, every = rng.uniform(-1.0, 1.0, flights), rng.integers(100, 500, flights)
    error_size, wind = 0.3 * rng.random(flights) ** 2, np.zeros(flights)
    spikes = np.empty((flights, 2 * SENSORS, STEPS), np.uint8)
    parts = np.empty((flights, 2, STEPS))
    for k in range(STEPS):
        wanted = np.where(k % every == 0, rng.uniform(-1.0, 1.0, flights), wanted)
        error = wanted - blimp.z
        spikes[:, :, k] = code.spikes(error, blimp.v)
        told = pid.parts(error, blimp.v)  # (2, B)
        parts[:, :, k] = told.T / UNITS
        wind = 0.95 * wind + 0.31 * rng.standard_normal(flights)
        blimp.step(told.sum(0) + error_size * wind)
    names = np.array(["direct", "integral"])
    return {"inputs": spikes, "targets": parts, "names": names, "sample_rate": np.array(20.0)}


def wanted_at(k: int) -> float:
    """The altitude that is asked for in step k of the flight that is shown."""
    return 1.0 if k < SHOWN // 2 else 0.3


def fly(controller: Controller | None, buoyancy: float = -0.03) -> Array:
    """The altitudes of one flight: of a network's session, or of the teacher."""
    blimp, pid, code = Blimp(np.array([buoyancy])), Pid(1), PopulationCode(1)
    altitude, command = np.empty(SHOWN), np.zeros(1)
    for k in range(SHOWN):
        error = wanted_at(k) - blimp.z
        if controller is None:
            command = pid.parts(error, blimp.v).sum(0)
        else:
            scores = controller(code.spikes(error, blimp.v)[0])
            command = command if scores is None else np.array([UNITS @ scores])
        blimp.step(command)
        altitude[k] = blimp.z[0]
    return altitude


def in_software(checkpoint: Checkpoint, late: int = 0) -> Array:
    """``late``: after how many steps an answer counts, as in a simulator."""
    session, waiting = Session(lower(checkpoint), endless=True), [np.zeros(2)] * late

    def answer(spikes: NDArray[np.uint8]) -> Array:
        waiting.append(session.step(spikes).scores)
        return waiting.pop(0)

    return fly(answer)


def in_nest(checkpoint: Checkpoint) -> Array:
    """Equal, to the bit, to software that is as late."""
    with NestSession(lengthened(lower(checkpoint, cells="native"), SHOWN)) as session:

        def answer(spikes: NDArray[np.uint8]) -> Array | None:
            answers = session.steps(spikes[:, None])
            return answers[-1].scores if answers else None

        altitude = fly(answer)
        late = session.latency - 1
    equal = np.array_equal(altitude, in_software(checkpoint, late))
    print(f"NEST: {late} steps late; the flight of software that is as late is "
          f"{'the same to the bit' if equal else 'ANOTHER'}")
    return altitude


def on_board(checkpoint: Checkpoint, address: str = EMULATED) -> Array:
    """Live spikes in and out; then what the board did is compared with SpiNNaker's arithmetic."""
    board = Board(address, time_scale_factor=SLOWER)
    with BoardSession(lower(checkpoint), board, steps=SHOWN + SHOWN // 4) as session:

        def answer(spikes: NDArray[np.uint8]) -> Array | None:
            answers = session.steps(spikes[:, None])
            return answers[-1].scores if answers else None

        altitude = fly(answer)
        session.rest()
    recording = session.recording
    assert recording is not None  # the run has ended
    expected = session.replayed().spikes
    differing = sum(int((recording.spikes[k] != expected[k]).sum()) for k in expected)
    total = sum(int(v.sum()) for v in expected.values())
    print(f"board: {total} spikes; {differing} differ from SpiNNaker's arithmetic on what it got")
    return altitude


FLOWN: dict[str, Callable[[Checkpoint], Array]] = {
    "software": in_software, "nest": in_nest, "board": on_board,
}


def figures(altitude: Array) -> str:
    """Overshoot, and what is left at the end of each half, in cm."""
    half = SHOWN // 2
    over = 100 * (altitude[:half].max() - wanted_at(0))
    left = [100 * (wanted_at(k - 1) - altitude[k - 100 : k].mean()) for k in (half, SHOWN)]
    return f"overshoot {over:5.1f} cm, steady-state error {left[0]:5.1f} and {left[1]:5.1f} cm"


def draw(flights: dict[str, Array], out: Path) -> None:
    """The altitudes over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.subplots()
    seconds = 0.05 * np.arange(SHOWN)
    axes.plot(seconds, [wanted_at(k) for k in range(SHOWN)], "k:", label="wanted")
    for name, altitude in flights.items():
        axes.plot(seconds, altitude, label=name)
    axes.set(xlabel="time (s)", ylabel="altitude (m)")
    axes.legend()
    figure.savefig(out, dpi=120)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("data")
    made.add_argument("directory", type=Path)
    flying = commands.add_parser("fly")
    flying.add_argument("--checkpoint", type=Path, default=SHIPPED)
    flying.add_argument("--backends", default="software,nest,board")
    flying.add_argument("--out", type=Path, help="a figure")
    args = parser.parse_args()
    if args.command == "data":
        args.directory.mkdir(parents=True, exist_ok=True)
        for seed, (split, count) in enumerate(FLIGHTS.items()):
            np.savez(args.directory / f"{split}.npz", **teach(count, seed))  # type: ignore[arg-type]
        return
    checkpoint = load_checkpoint(args.checkpoint)
    flown = {"PID": fly(None)}
    for name in args.backends.split(","):
        flown[name] = FLOWN[name](checkpoint)
    for name, altitude in flown.items():
        print(f"{name:9} {figures(altitude)}")
    if args.out is not None:
        draw(flown, args.out)


if __name__ == "__main__":
    main()
