"""The emulated board by itself: what sPyNNaker's runs on it rest on."""

import struct
import weakref
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("unicorn", reason="Unicorn, which executes ARM code, is not installed")

from pynn_models.spinnaker.board import aplx
from pynn_models.spinnaker.board.board import Board
from pynn_models.spinnaker.board.core import Progress, Start
from pynn_models.spinnaker.board.errors import CoreError
from pynn_models.spinnaker.board.heap import Heap
from pynn_models.spinnaker.board.layout import LAYOUTS, SELF, opposite, parent
from pynn_models.spinnaker.board.memory import (
    SDRAM,
    SYSRAM,
    SYSTEM_HEAP,
    USER_HEAP,
    AddressError,
    Memory,
    Ram,
)
from pynn_models.spinnaker.board.monitor import Monitor, Request
from pynn_models.spinnaker.board.native_core import NativeCore
from pynn_models.spinnaker.board.peripherals import Flags, Vic
from pynn_models.spinnaker.board.python_core import PythonCore
from pynn_models.spinnaker.board.router import Router
from pynn_models.spinnaker.board.timing import Load, late


def sdram():
    return Memory(Ram(0x8000000, *SDRAM), Ram(0x8000, *SYSRAM))


def board_of(version=5):
    """A board that is not on the network, and what it says."""
    said = []
    return Board(LAYOUTS[version], bytes(4), NativeCore, lambda sdp: None, said.append), said


# --- layout and routing -------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "chips", "furthest"), [(3, 4, 1), (5, 48, 7)])
def test_every_chip_reaches_the_ethernet_chip(version, chips, furthest):
    layout = LAYOUTS[version]
    assert len(layout.chips) == len(set(layout.chips)) == chips
    for place in layout.chips:
        steps, at = 0, place
        while parent(at) != SELF:
            at, steps = layout.neighbour(at, parent(at)), steps + 1
        assert at == (0, 0) and steps <= furthest
        for link in range(6):
            there = layout.neighbour(place, link)
            assert there is None or layout.neighbour(there, opposite(link)) == place


def test_packets_follow_the_first_entry_or_go_straight_on():
    router = Router(LAYOUTS[5])
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


def test_tables_that_lead_in_circles_lose_the_packet():
    router = Router(LAYOUTS[5])
    for place in LAYOUTS[5].chips:
        router.add(place, 0, [(0x3F | 1 << 6 + 1, 0, 0)])
    assert set(router.targets((3, 3), 7)) == {(place, 1) for place in LAYOUTS[5].chips}


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


def test_a_heap_that_was_overwritten_is_refused_and_not_followed_forever():
    memory = sdram()
    heap = Heap(memory, SDRAM[0], SDRAM[0] + 0x8000)
    heap.allocate(100)
    for at, word in ((SDRAM[0] + 16, SDRAM[0] + 16), (SDRAM[0], 0x12345678)):
        memory.put(at, word)
        with pytest.raises(AddressError):
            heap.free(0), heap.allocate(0x8000)


def test_a_repeated_request_for_memory_gets_the_same_block():
    board, _ = board_of()
    chip = board.chips[1, 1]
    first = chip.allocate(100, 17, 201, again=True)
    assert first == USER_HEAP[0] + 24 and chip.allocate(100, 17, 201, again=True) == first
    other = chip.allocate(100, 18, 201, again=True)
    chip.release(18)
    assert chip.allocate(100, 18, 202, again=True) == other > first


def test_what_programs_allocated_is_free_when_their_application_ends():
    """Each core's output takes 16 KiB of the system's heap, which 400 of them would fill."""
    board, _ = board_of()
    chip = board.chips[1, 1]
    tables = chip.memory.read(SYSTEM_HEAP[0], 16)
    for heap in chip.program_heaps:
        assert heap.allocate(5000, 17 << 8) and heap.allocate(5000, 18 << 8)
    for app in (17, 18, 0):
        board.stop(app)
    assert chip.memory.read(SYSTEM_HEAP[0], 16) == tables
    assert not chip.program_heaps[1].used


def test_the_monitor_refuses_what_it_does_not_know():
    board, said = board_of()
    monitor = Monitor(board, lambda tag, made: None)
    answer = lambda command, place, *arguments: monitor.answer(  # noqa: E731
        Request(command, board.chips[place], 0, arguments, b"")
    )
    assert answer(99, (0, 0), 0, 0, 0) == (0x83, b"")
    assert answer(25, (0, 0), 0, 0, 0) == (0x83, b"") and "LED" in said[-1]
    assert answer(2, (0, 0), SDRAM[0] + 0x7FFFFFF, 4, 2) == (0x84, b"")
    assert answer(2, (0, 0), SDRAM[0], 257, 0) == (0x84, b"")
    assert answer(17, (0, 0), SDRAM[0], 4, 3) == (0x84, b"") and "no neighbour" in said[-1]
    code, info = answer(31, (7, 7), 0x5F, 0, 0)
    assert code == 0x80 and len(info) == 38 and info[36] == 4


# --- cores --------------------------------------------------------------------------------------

WAIT, FOREVER = 0xEE070F90, 0xEAFFFFFE  # mcr p15, 0, r0, c7, c0, 4; b .
PACKETS = (0xE3A01411, 0xE2411401)  # mov r1, #0x11000000; sub r1, r1, #0x1000000
CORES = {"C": NativeCore, "Python": lambda *a: PythonCore(*a, counts=True)}
LONG = 10**6


def image_of(*words):
    """An APLX image of code at address 0."""
    code = struct.pack(f"<{len(words)}I", *words)
    return struct.pack("<8I", 2, 0, 64, len(code), 4, 0, 0, 0).ljust(64, b"\0") + code


@pytest.fixture(params=CORES)
def core_of(request):
    return lambda *words: CORES[request.param](Start(3, image_of(*words), 17), sdram(), Flags())


def test_a_core_runs_until_it_waits_and_sends_packets(core_of):
    core = core_of(
        0xE3A0241F, 0xE3A03701, 0xE5823010,  # the monitor's interrupt (18) ends a wait
        *PACKETS,
        0xE5810008,  # str r0, [r1, #8]
        WAIT,
        0xE5810004,  # str r0, [r1, #4]
        0xE5810008,
        WAIT, FOREVER,
    )  # fmt: skip
    assert core.run(LONG) is Progress.WAITING and core.take() == [(17, None)]
    assert core.instructions == 7
    assert core.run(LONG) is Progress.WAITING and core.instructions == 7
    core.interrupt()
    assert core.run(1000) is Progress.BUSY and core.take() == [(17, 17)]  # it is still there


def test_a_core_that_never_waits_stops_after_its_share_and_goes_on(core_of):
    core = core_of(0xE2800001, 0xEAFFFFFD)  # add r0, r0, #1; b back
    for executed in (1000, 2000, 3000):
        assert core.run(1000) is Progress.BUSY
        assert executed - 6 <= core.instructions <= executed
        assert core.registers()[0] - 17 == core.instructions // 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((0xE3A00411, 0xE5901034), "reads T2 masked of the counter/timer .0x11000034."),
        ((0xE3A00411, 0xE5801034), "writes T2 masked of the counter/timer .0x11000034."),
        ((*PACKETS, 0xE3A02501, 0xE5812000), "packets other than multicast"),
        # mov r0, #0x30000000; mov r1, #0x9000000; address; length 4; copy
        ((0xE3A00203, 0xE3A01409, 0xE5801004, 0xE3A02004, 0xE580200C), "0x09000000"),
        ((0xE3A00409, 0xE5901014), "Unicorn: Invalid memory read"),
        ((0xE7F000F0,), "Unicorn:"),  # undefined
    ],
)
def test_what_a_core_does_that_is_not_modelled_is_named(core_of, words, reason):
    core = core_of(*words, FOREVER)
    with pytest.raises(CoreError, match=reason):
        core.run(LONG)
    assert core.registers()[15] < 0x20


def test_a_core_that_fails_reports_its_registers_as_the_monitor_does():
    board, said = board_of(3)
    chip = board.chips[1, 1]
    words = (0xE3A05007, 0xE3A00409, 0xE5901014, FOREVER)  # mov r5, #7; ldr from nowhere
    chip.start(4, image_of(*words), 17, 0)
    board.wake((1, 1), 4)
    while board.step():
        pass
    assert chip.state(4) == (2, 17) and chip.cores == {}
    assert "core 1, 1, 4" in said[0] and "r5 0x00000007" in said[0] and "pc 0x00000008" in said[0]
    block = 0xE5007000 + 4 * 128
    assert chip.memory.get(block + 20) == 7 and chip.memory.get(block + 44, "B") == 9


def test_statistics_of_copies_that_a_program_reads_as_it_exits_are_nothing(core_of):
    # mov r1, #0x30000000; r2 = what stands at 0x40, r3 at 0x5C; send r2 + r3
    words = (0xE3A01203, 0xE5912040, 0xE591305C, 0xE0820003, *PACKETS, 0xE5810008, WAIT, FOREVER)
    core = core_of(*words)
    assert core.run(LONG) is Progress.WAITING and core.take() == [(0, None)]


def test_interrupts_taken_in_c_and_in_python_are_the_same(core_of):
    """A packet's handler (FIQ) sends it back, doubled; the main program waits."""
    core = core_of(
        0xEA000006, 0, 0, 0, 0, 0, 0,  # the vectors; at 0x1C:
        0xEA000009,  # b 0x48
        # 0x20: enable source 6 (a packet), as FIQ, then interrupts
        0xE3A0141F,  # mov r1, #0x1F000000
        0xE3A02040,  # mov r2, #0x40
        0xE581200C, 0xE5812010,  # select, enable
        0xE3A00010,  # mov r0, #0x10: user mode, all enabled
        0xE121F000,  # msr cpsr_c, r0
        WAIT, 0xEAFFFFFD,  # wait, again
        0, 0,
        # 0x48: r8 to r14 are the handler's own
        0xE3A08411, 0xE2488401,  # the packets' registers
        0xE5989010, 0xE598A014,  # payload, key
        0xE0899009, 0xE5889004, 0xE588A008,  # twice the payload; send
        0xE25EF004,  # subs pc, lr, #4
    )  # fmt: skip
    assert core.run(LONG) is Progress.WAITING
    core.deliver([(key, 10 * key) for key in range(40)])
    assert core.run(LONG) is Progress.WAITING
    assert core.take() == [(key, 20 * key) for key in range(40)]
    before = core.instructions
    core.deliver([(7, 1)])
    core.run(LONG)
    assert core.take() == [(7, 2)] and core.instructions - before == 11


def test_images_that_cannot_be_loaded():
    memory = Memory(Ram(0x100, 0))
    for image in (
        struct.pack("<4I", 7, 0, 0, 0), struct.pack("<4I", 2, 0, 0, 4), b"short",
        struct.pack("<4I", 3, 0, 0xFFFFFFF0, 1),
    ):  # fmt: skip
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


# --- time ---------------------------------------------------------------------------------------


def test_a_core_that_needs_more_than_its_tick_is_told_with_the_factor():
    load = Load()
    for number, executed in ((4, 0), (5, 100_000), (6, 400_000), (7, 420_000)):
        load.tick(number, executed, 200_000)
    load.pause()
    load.tick(7, 9_000_000, 200_000)
    assert (load.ticks, load.most, load.most_at, load.mean) == (3, 300_000, 5, 140_000)
    said = late("core 0, 0, 1", load)
    assert "would exceed" in said and "by 3" in said and "estimate" in said and "1000 us" in said
    assert "300,000 instructions in tick 5," in said
    assert "may exceed" in late("x", Load(1, 0, 150_000, 0, 200_000))
    assert late("x", Load(1, 0, 100_000, 0, 200_000)) is None


def test_ticks_are_numbered_as_programs_count_them_over_runs_and_pauses():
    """A core is busiest in its second run; another's timer does not run in the first."""
    board, _ = board_of(3)
    chip = board.chips[0, 0]
    for number in (1, 2):
        chip.cores[number] = Counting()
        chip.loads[number] = Load()
    one, other = chip.cores[1], chip.cores[2]

    def run(ticks, *cores):
        for core in cores:
            core.timer_runs = True
        last = board.counts.ticks + ticks
        while board.step(board.counts.ticks < last):
            pass
        for core in cores:
            core.timer_runs = False
        assert not board.step()

    one.costs = {23: 9000}
    run(21, one)  # 20 ticks, and the one in which it stops
    run(11, one, other)
    assert (chip.loads[1].ticks, chip.loads[2].ticks) == (30, 10)
    assert (chip.loads[1].most, chip.loads[1].most_at) == (9000, 22)
    other.costs = {13: 7000}  # of its own ticks
    run(6, other)
    assert (chip.loads[2].most, chip.loads[2].most_at, chip.loads[2].ticks) == (7000, 32, 15)
    board.forget()
    assert chip.loads == {}


def test_stopped_cores_are_freed_one_by_one_while_the_host_is_answered():
    board, _ = board_of(3)
    chip = board.chips[0, 0]
    for stop in (lambda: board.stop(17), board.clear):
        for number in (1, 2, 3):
            chip.cores[number] = Counting()
            chip.memory.put(0xE5007000 + 128 * number + 47, 17, "B")
        kept = [weakref.ref(core) for core in chip.cores.values()]
        stop()
        assert chip.cores == {} and all(each() is not None for each in kept)
        for left in (2, 1, 0):
            assert board.step(may_tick=False)
            assert sum(each() is not None for each in kept) == left
        assert not board.step()


class Counting:
    """A core that executes 100 instructions a tick, but for those of ``costs``."""

    timer_runs, instructions, tick_cycles, ticks = False, 0, 200_000, 0
    costs = {}

    def tick(self):
        self.instructions += self.costs.get(self.ticks, 100)
        self.ticks += 1

    def run(self, instructions):
        return Progress.WAITING

    def take(self):
        return []
