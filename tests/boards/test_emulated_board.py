"""The emulated board by itself: what sPyNNaker's runs on it rest on."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("unicorn", reason="Unicorn, which executes ARM code, is not installed")

from pynn_models.spinnaker.board import aplx
from pynn_models.spinnaker.board.board import Board
from pynn_models.spinnaker.board.core import Core
from pynn_models.spinnaker.board.heap import Heap
from pynn_models.spinnaker.board.layout import CHIPS, SELF, neighbour, opposite, parent
from pynn_models.spinnaker.board.memory import SDRAM, USER_HEAP, Memory, Ram
from pynn_models.spinnaker.board.monitor import Monitor, Request
from pynn_models.spinnaker.board.peripherals import CoreError, Flags, Vic
from pynn_models.spinnaker.board.router import Router


def sdram():
    return Memory(Ram(0x10000, *SDRAM))


# --- layout and routing -------------------------------------------------------------------------


def test_every_chip_reaches_the_ethernet_chip():
    assert len(CHIPS) == 48 and len(set(CHIPS)) == 48
    for place in CHIPS:
        steps, at = 0, place
        while parent(at) != SELF:
            at, steps = neighbour(at, parent(at)), steps + 1
        assert at == (0, 0) and steps <= 7
        for link in range(6):
            there = neighbour(place, link)
            assert there is None or neighbour(there, opposite(link)) == place


def test_packets_follow_the_first_entry_or_go_straight_on():
    router = Router()
    router.add((0, 0), 1, [(1 << 2 | 1 << 6 + 3, 0x10, 0xF0), (1 << 6 + 9, 0, 0)])
    router.add((0, 2), 1, [(1 << 6 + 5 | 1 << 0, 0x10, 0xF0)])
    router.add((2, 2), 1, [(1 << 6 + 7, 0x12, 0xFF)])
    expected = [((0, 0), 3), ((0, 2), 5), ((2, 2), 7)]
    assert router.targets((0, 0), 0x12) == expected
    assert router.targets((0, 0), 0x13) == expected[:2]  # to the board's edge
    assert router.targets((0, 0), 0x20) == [((0, 0), 9)]
    assert router.targets((1, 0), 0x12) == []
    router.clear((0, 0))
    assert router.targets((0, 0), 0x12) == []


# --- memory -------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3)), max_size=40))
def test_the_heap_gives_blocks_that_do_not_overlap_and_takes_them_back(wanted):
    memory = sdram()
    heap = Heap(memory, SDRAM[0], SDRAM[0] + 0x8000)
    whole = memory.read(SDRAM[0], 16)
    blocks = [(heap.allocate(size, app << 8), size, app) for size, app in wanted]
    given_out = sorted((at, size) for at, size, _ in blocks if at)
    for (at, size), (following, _) in pairwise(given_out):
        assert at + size <= following
    heap.free(1)
    again = [(heap.allocate(size, 1 << 8), size) for at, size, app in blocks if at and app == 1]
    assert all(at for at, _ in again)  # first fit, in the same order
    for app in (1, 2, 3):
        heap.free(app)
    assert memory.read(SDRAM[0], 16) == whole


def test_a_repeated_request_for_memory_gets_the_same_block():
    board = Board(bytes(4), lambda sdp: None)
    chip = board.chips[1, 1]
    first = chip.allocate(100, 17, 201, again=True)
    assert first == USER_HEAP[0] + 24 and chip.allocate(100, 17, 201, again=True) == first
    other = chip.allocate(100, 18, 201, again=True)
    chip.release(18)
    assert chip.allocate(100, 18, 202, again=True) == other > first


def test_the_monitor_refuses_what_it_does_not_know():
    board = Board(bytes(4), lambda sdp: None)
    monitor = Monitor(board)
    assert monitor.answer(Request(99, board.chips[0, 0], 0, (0, 0, 0), b"")) == (0x83, b"")
    nowhere = Request(2, board.chips[0, 0], 0, (SDRAM[0] + 0x7FFFFFF, 4, 2), b"")
    assert monitor.answer(nowhere) == (0x84, b"")
    code, info = monitor.answer(Request(31, board.chips[7, 7], 0, (0x5F, 0, 0), b""))
    assert code == 0x80 and len(info) == 38 and info[36] == 4


# --- cores --------------------------------------------------------------------------------------

WAIT, FOREVER = 0xEE070F90, 0xEAFFFFFE  # mcr p15, 0, r0, c7, c0, 4; b .


def image_of(*words):
    """An APLX image of code at address 0."""
    code = struct.pack(f"<{len(words)}I", *words)
    return struct.pack("<8I", 2, 0, 64, len(code), 4, 0, 0, 0).ljust(64, b"\0") + code


def core_of(*words):
    sent = []
    send = lambda key, payload: sent.append((key, payload))  # noqa: E731
    return Core(3, image_of(*words), 17, sdram(), Flags(), send, lambda: None), sent


def test_a_core_runs_until_it_waits_and_sends_packets():
    core, sent = core_of(
        0xE3A01411,  # mov r1, #0x11000000
        0xE2411401,  # sub r1, r1, #0x1000000: the packets' registers
        0xE5810008,  # str r0, [r1, #8]
        WAIT,
        0xE5810004,  # str r0, [r1, #4]
        0xE5810008,
        WAIT,
        FOREVER,
    )
    core.run()
    assert sent == [(17, None)]
    core.run()
    assert sent == [(17, None), (17, 17)]


@pytest.mark.parametrize(
    ("address", "reason"), [(0xE3A00411, "end of a tick"), (0xE3A00409, "at 0x00000004")]
)
def test_a_core_that_reads_what_is_not_there(address, reason):
    core, _ = core_of(address, 0xE5901014, FOREVER)  # ldr r1, [r0, #0x14]
    with pytest.raises(CoreError, match=reason):
        core.run()


def test_images_that_cannot_be_loaded():
    memory = Memory(Ram(0x100, 0))
    for image in (struct.pack("<4I", 7, 0, 0, 0), struct.pack("<4I", 2, 0, 0, 4)):
        with pytest.raises(aplx.ImageError):
            aplx.load(image, memory)


def test_interrupts_by_priority_and_nested():
    raised = {1 << 4}
    vic = Vic(lambda: sum(raised))
    for slot, source in enumerate((18, 4, 12)):
        vic.write(0x100 + 4 * slot, 0x1000 + source)
        vic.write(0x200 + 4 * slot, 0x20 | source)
    assert vic.slot() is None  # not enabled
    vic.write(0x10, 1 << 4 | 1 << 12 | 1 << 18)
    assert vic.read(0x30) == 0x1004 and vic.slot() is None
    raised.add(1 << 12)
    assert vic.slot() is None  # below the one in service
    raised.add(1 << 18)
    assert vic.read(0x30) == 0x1012
    raised.discard(1 << 18)
    vic.write(0x30, 0)
    assert vic.slot() is None
    raised.discard(1 << 4)
    vic.write(0x30, 0)
    assert vic.read(0x30) == 0x100C
    vic.write(0x0C, 1 << 12)
    assert vic.fiq == 1 << 12 and vic.irq == 0
