"""Cores of several chips in threads: the same to the bit and instruction as one after the other."""

import hashlib
import struct
from operator import itemgetter

import pytest

pytest.importorskip("unicorn", reason="Unicorn, which executes ARM code, is not installed")

from pynn_models.spinnaker.board.board import Board
from pynn_models.spinnaker.board.layout import LAYOUTS
from pynn_models.spinnaker.board.native_core import NativeCore
from pynn_models.spinnaker.board.python_core import PythonCore

# Each tick it sends the sum that it keeps in the chip's memory; what arrives changes that by its
# order: sum = 33 sum + key. It adds to a word of all cores of its chip, too, and then waits.
PROGRAM = (
    0xE3A0141F, 0xE3A02050, 0xE5812010,  # interrupts of the timer and of packets
    0xE3A03411, 0xE3A02803, 0xE5832000, 0xE3A020E2, 0xE5832008,  # the timer starts
    0xE2434401,  # r4: packets
    0xE3A06203, 0xE5966014, 0xE1A06C26,  # r6: its number
    0xE3A0B206, 0xE08B5606,  # r11: the chip's memory; r5: its own
    0xE0866000, 0xE5856000,  # by its application, which is its chip's
    0xEE070F90,  # wait: it goes on here
    0xE5938010, 0xE583200C,  # r8: whether a tick began
    0xE594700C, 0xE3570000, 0x0A000009,  # a packet? if not, on
    0xE5947014, 0xE5959000, 0xE0899289, 0xE0899007, 0xE5859000,  # sum = 33 sum + key
    0xE59B9800, 0xE0899289, 0xE0899006, 0xE58B9800,  # the common word, by its number
    0xEAFFFFF2,  # the next packet
    0xE3580000, 0x15959000, 0x15849008,  # in a tick: send the sum
    0xEAFFFFEB,
)  # fmt: skip
FAILING = (*PROGRAM[:-4], 0xE3580000, 0x15959000, 0x15849008, 0x15989034)  # reads from nowhere
LONG = (*PROGRAM[:16], 0xE3A0AB01, 0xE25AA001, 0x1AFFFFFD, *PROGRAM[16:-1], 0xEAFFFFE8)
CHIPS = [(0, 0), (1, 0), (1, 1), (0, 1)]


def image_of(words):
    code = struct.pack(f"<{len(words)}I", *words)
    return struct.pack("<8I", 2, 0, 64, len(code), 4, 0, 0, 0).ljust(64, b"\0") + code


def run(make, threads, ticks, slices=None, monkeypatch=None):
    """What a network of 20 cores, all to all, leaves: memory, order of packets, instructions."""
    said = []
    board = Board(LAYOUTS[3], bytes(4), make, lambda sdp: None, said.append)
    board.threads = threads
    sent, deliver = hashlib.sha256(), board._deliver

    def delivered():
        order = sorted(board._packets, key=itemgetter(0))
        sent.update(repr([(place, packet) for _, place, packet in order]).encode())
        deliver()

    board._deliver = delivered
    for app, place in enumerate(CHIPS, 17):
        # To every core of this chip, and over every link: each packet reaches all cores, once.
        board.router.add(place, 0, [(0x3F | 0x3E << 6, 0, 0)])
        for number in range(1, 6):
            program = FAILING if (place, number) == ((1, 0), 3) else PROGRAM
            program = LONG if number == 2 else program
            board.chips[place].start(number, image_of(program), app, 0)
            board.wake(place, number)
    while board.step(board.counts.ticks < ticks):
        pass
    memory = [board.chips[place].memory.read(0x60000000, 0x6000) for place in CHIPS]
    executed = {
        (place, number): core.instructions
        for place in CHIPS for number, core in board.chips[place].cores.items()
    }  # fmt: skip
    failed = [line.partition(":")[0] for line in said]
    return memory, sent.hexdigest(), executed, failed, board.counts.packets


def test_any_number_of_threads_gives_the_same():
    alone = run(NativeCore, 1, 25)
    memory, _, executed, failed, packets = alone
    assert failed == ["core 1, 0, 3"] and len(executed) == 19 and packets == 19 * 25 + 1
    assert len({each[0x800:0x804] for each in memory}) == 4
    for threads in (2, 3, 64, 1000):
        assert run(NativeCore, threads, 25) == alone


def test_chips_in_c_and_one_core_after_the_other_in_python_give_the_same():
    alone = run(lambda *arguments: PythonCore(*arguments, counts=True), 1, 3)
    assert run(NativeCore, 2, 3) == alone


def test_cores_that_have_more_to_do_and_time_that_is_over_change_nothing(monkeypatch):
    alone = run(NativeCore, 1, 8)
    monkeypatch.setattr("pynn_models.spinnaker.board.board._SLICE", 1000)
    assert run(NativeCore, 2, 8) == alone
    monkeypatch.setattr("pynn_models.spinnaker.board.board._AT_ONCE", 1e-6)
    assert run(NativeCore, 2, 8) == alone
