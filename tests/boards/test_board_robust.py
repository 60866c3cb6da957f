"""The emulated board and what it is not asked to do: any datagram, two hosts, a stranger's core."""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from support.fuzzed_datagrams import Datagrams

pytest.importorskip("unicorn", reason="Unicorn, which executes ARM code, is not installed")

from pynn_models.spinnaker.board import (
    BoardAddressError,
    BoardStoppedError,
    EmulatedBoard,
    EmulatedBoardError,
    emulated_board,
)
from pynn_models.spinnaker.board.lease import GONE, Wish, process_of

STEPS = 40  # of the board's work after some datagrams


@pytest.fixture
def board():
    """A board whose network is a list, ``answers``."""
    made = emulated_board(version=3)
    made.answers = []
    made._send = lambda data, target: made.answers.append(data)
    yield made
    made._close()


def version_of(board):
    """The answer to VER: the board is still there."""
    board.answers.clear()
    board._receive(bytes((0, 0, 0x87, 255, 0, 255, 255, 255, 0, 0)) + bytes(16), ("127.0.0.1", 9))
    [answer] = board.answers
    return answer


def shower(board, kind, count):
    """``count`` datagrams of a kind; each that wants an answer gets one, and work is done."""
    drawn, sender = Datagrams(hash_of(kind)), ("127.0.0.1", 40000)
    for i in range(count):
        data = getattr(drawn, kind)()
        board.answers.clear()
        board._receive(data, sender)
        if len(data) >= 10 and data[2] & 0x80 and not data[4] >> 5:
            [answer] = board.answers
            assert 0x80 <= answer[10] <= 0x8F and answer[11] == 0
            assert answer[12:14] == data[12:14].ljust(2, b"\0")
        if i % 10 == 9:
            for _ in range(STEPS):
                if not board._board.step():
                    break
    assert version_of(board)[10] == 0x80


def hash_of(kind):
    return sum(kind.encode())


@pytest.mark.parametrize("kind", Datagrams.kinds())
def test_no_datagram_ends_the_board(board, kind):
    shower(board, kind, 60)


@pytest.mark.slow
@pytest.mark.parametrize("kind", Datagrams.kinds())
def test_no_datagram_of_ten_thousand_ends_the_board(board, kind):
    shower(board, kind, 10_000)


def test_datagrams_of_all_kinds_one_after_the_other(board):
    drawn = Datagrams(1)
    for i in range(1000):
        board._receive(getattr(drawn, drawn.some(Datagrams.kinds()))(), ("127.0.0.1", 40000))
        if i % 20 == 0:
            board._board.step()
    assert version_of(board)[10] == 0x80


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({6: 9, 7: 9}, 0x87),  # no such chip: no route
        ({4: 18}, 0x88),  # no such core
        ({4: 3 << 5}, 0x85),  # a port that the monitor does not have
        ({4: 3 << 5 | 5}, 0x89),  # a core with no program
        ({10: 99}, 0x83),  # an unknown command
        ({10: 2, 18: 0xFF, 19: 0xFF}, 0x84),  # READ of 65,535 bytes
        ({10: 3, 17: 0x60, 18: 9}, 0x81),  # WRITE of nine bytes that are not there
    ],
)
def test_what_cannot_be_done_is_answered_with_the_monitors_code(board, change, code):
    datagram = bytearray(bytes((0, 0, 0x87, 255, 0, 255, 0, 0, 0, 0)) + bytes(16))
    for at, value in change.items():
        datagram[at] = value
    board._receive(bytes(datagram), ("127.0.0.1", 9))
    assert board.answers[0][10] == code
    board._receive(bytes(datagram)[:20], ("127.0.0.1", 9))
    if code in (0x81, 0x83, 0x84):
        assert board.answers[1][10] == 0x81  # not a whole command


def test_a_program_that_never_waits_does_not_keep_the_host_waiting():
    forever = struct.pack("<8I", 2, 0, 64, 4, 4, 0, 0, 0).ljust(64, b"\0") + b"\xfe\xff\xff\xea"
    with emulated_board(version=3) as board:
        host = Host(board.address)
        host.ask(3, 0x67800000, len(forever), 0, data=forever)
        host.ask(19, 0x11000002)
        for _ in range(5):
            assert host.ask(15, 0x11, 4)[14:] == b"\1\0\0\0"  # one core, still initialising
        host.ask(20, 0x3F0000, 0x20000 | 0xFF00 | 0x11)
        assert host.ask(15, 0x11, 4)[14:] == bytes(4) and board.cores == 0


# Starts its timer, 0x30000 cycles a tick (983 us), and waits.
_WORDS = (0xE3A01411, 0xE3A02803, 0xE5812000, 0xE3A030E2, 0xE5813008, 0xEE070F90, 0xEAFFFFFD)
_CODE = struct.pack("<7I", *_WORDS)
SLEEPER = struct.pack("<8I", 2, 0, 64, len(_CODE), 4, 0, 0, 0).ljust(64, b"\0") + _CODE


def test_ticks_with_nothing_to_do_last_as_long_as_on_a_board():
    with emulated_board(version=3) as board:
        host = Host(board.address)
        host.ask(3, 0x67800000, len(SLEEPER), 0, data=SLEEPER)
        before = time.monotonic()
        host.ask(19, 0x11000002)
        assert board.wait(0.3)
        ticks, passed = board.ticks, time.monotonic() - before
        assert 20 < ticks < passed / 983e-6 + 2
        assert board.cores == 1 and board.errors == [] and board.packets == 0
        host.ask(20, 0x3F0000, 0x20000 | 0xFF00 | 0x11)
        ticks = board.ticks
        assert board.wait(0.1) and board.ticks == ticks


class Host:
    """Asks a board, and has its answer within a second."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(1)
        self.address, self.sequence = address, 0

    def ask(self, command, *arguments, data=b""):
        self.sequence = (self.sequence + 1) % 65536
        words = (*arguments, *[0] * (3 - len(arguments)))
        header = bytes((0, 0, 0x87, 255, 0, 255, 255, 255, 0, 0))
        content = struct.pack("<HH3I", command, self.sequence, *words) + data
        self.socket.sendto(header + content, (self.address, 17893))
        answer = self.socket.recv(1024)
        assert answer[12:14] == struct.pack("<H", self.sequence)
        return answer


def test_two_hosts_at_once_have_their_own_answers():
    failed = []

    def talk(address, place):
        try:
            host = Host(address)
            for i in range(300):
                word = struct.pack("<I", i * place)
                host.ask(3, 0x60024000 + place, 4, 2, data=word)
                assert host.ask(2, 0x60024000 + place, 4, 2)[14:] == word
        except BaseException as error:
            failed.append(error)

    with emulated_board(version=3) as board:
        hosts = [threading.Thread(target=talk, args=(board.address, 64 * i)) for i in (1, 2)]
        for host in hosts:
            host.start()
        for host in hosts:
            host.join()
    assert failed == []


SCRIPT = """
import socket, struct, sys
host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
header = bytes((0, 0, 0x87, 255, 0, 255, 255, 255, 0, 0))
host.sendto(header + struct.pack("<HH3I", 28, 1, 17 << 8, 100, 1), (sys.argv[1], 17893))
print(host.recv(1024)[10], flush=True)
sys.stdin.read()
"""


def test_a_second_script_is_told_that_the_board_is_in_use_until_the_first_has_gone():
    with emulated_board(version=3) as board:
        second = Host(board.address)
        write = (3, 0x60024100, 4, 2)
        assert second.ask(*write, data=bytes(4))[10] == 0x80  # nobody's yet
        command = [sys.executable, "-c", SCRIPT, board.address]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as first:
            assert first.stdout.readline() == "128\n"  # it allocated
            for request in (write, (28, 17 << 8, 100), (20, 0x3F0000)):
                assert second.ask(*request, data=bytes(4))[10] == 0x8D
            assert f"in use by process {first.pid}, and this is another" in board.errors[-1]
            assert second.ask(0)[10] == second.ask(2, 0x60024100, 4, 2)[10] == 0x80  # to look
            before = len(board.errors)
            first.kill()
        whole = second.ask(28, 17 << 8, 0x7000000)  # with what the first one had
        assert whole[10] == 0x80 and whole[14:18] != bytes(4)
        assert board.errors[before:] == [
            "the script that ran here is gone; its programs are stopped"
        ]


STRANGER = """
import socket, sys
host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for line in sys.stdin:
    host.sendto(bytes.fromhex(line), (sys.argv[1], 17893))
    print(host.recv(1024).hex(), flush=True)
"""


@contextlib.contextmanager
def stranger(board):
    """Another process, which sends what it is asked to, and gives the result code."""
    command = [sys.executable, "-c", STRANGER, board.address]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def ask(command, *arguments, data=b"", to=0):
            words = (*arguments, *[0] * (3 - len(arguments)))
            header = bytes((0, 0, 0x87, 255, to, 255, 255, 255, 0, 0))
            content = struct.pack("<HH3I", command, 1, *words) + data
            process.stdin.write((header + content).hex() + "\n")
            process.stdin.flush()
            return bytes.fromhex(process.stdout.readline())[10]

        yield ask
        process.stdin.close()


LOOK_AT, SET, CLEAR, TO_SENDER = 2 << 16, 1 << 16, 3 << 16, 1 << 30
HERE = struct.unpack("<I", bytes((127, 0, 0, 1)))[0]


def test_a_stranger_may_look_and_watch_and_change_nothing_where_programs_of_another_are():
    """A command for a core may end a run, a tag cleared its live input."""
    with emulated_board(version=3) as board, stranger(board) as ask:
        host = Host(board.address)
        host.ask(3, 0x67800000, len(SLEEPER), 0, data=SLEEPER)
        host.ask(19, 0x11000002)
        host.ask(26, SET | 1, 17000, HERE)
        host.ask(26, SET | 1 << 29 | 3 << 8 | 2, 17001)
        busy = [
            ask(6, to=1 << 5 | 1), ask(26, CLEAR | 1), ask(26, SET | 1, 17000, HERE),
            ask(26, TO_SENDER | SET | 2), ask(26, TO_SENDER | SET | 3), ask(29), ask(22, 2 << 16),
        ]  # fmt: skip
        assert busy == [0x8D] * len(busy)
        free = [ask(0), ask(2, 0x60024000, 4, 2), ask(15, 0x11, 5), ask(26, LOOK_AT | 1)]
        assert free == [0x80] * len(free)
        assert ask(26, TO_SENDER | SET | 1) == 0x80  # live output, to whoever watches
        assert board.cores == 1 and host.ask(2, SDRAM_FREE, 4, 2)[14:] != bytes(4)


SDRAM_FREE = 0x60024000  # the root of the heap that is for programs


def test_programs_of_one_that_sends_and_goes_are_gone_when_a_script_comes(board):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as short:
        short.bind(("127.0.0.1", 0))
        gone = short.getsockname()
    lease, heap = board._monitor.lease, board._board.chips[0, 0].user_heap
    header = bytes((0, 0, 7, 255, 0, 255, 255, 255, 0, 0))
    board._receive(header + struct.pack("<HH3I", 28, 0, 17 << 8, 100, 1), gone)
    assert heap.used and lease.admits(Wish.CHANGE, gone)
    lease._find = lambda sender, guess: os.getpid()
    assert lease.admits(Wish.GREET, ("127.0.0.1", 9)) and board._board.idle


@pytest.mark.parametrize("take", [0, 28])
def test_what_a_stranger_wrote_where_nobody_was_is_gone_when_a_script_comes(take):
    with emulated_board(version=3) as board:
        host = Host(board.address)
        before = host.ask(2, 0xE5007F00, 256, 2)[14:], host.ask(2, SDRAM_FREE, 16, 2)[14:]
        with stranger(board) as ask:
            assert ask(3, 0xE5007F48, 16, 2, data=b"\xff" * 16) == 0x80  # where the heaps are
            assert ask(3, SDRAM_FREE, 16, 2, data=b"\xff" * 16) == 0x80
            assert ask(29, 0) == 0x80
            host.ask(take, 17 << 8, 100, 1)
            after = host.ask(2, 0xE5007F00, 256, 2)[14:], host.ask(2, SDRAM_FREE, 16, 2)[14:]
        assert after[0] == before[0] and (after[1] == before[1]) == (take == 0)
        assert host.ask(28, 17 << 8, 100, 2)[14:] != bytes(4)


def test_a_script_keeps_its_own_between_its_programs(board):
    """Its routes, set before it takes the board anew, while another looks for the version."""
    lease = board._monitor.lease
    lease._find = lambda sender, guess: sender[1]
    mine, other = ("127.0.0.1", os.getpid()), ("127.0.0.1", 1)
    assert lease.admits(Wish.GREET, mine) and lease.admits(Wish.CHANGE, mine)
    board._board.router.add((0, 0), 1, [(1 << 7, 0, 0)])
    assert lease.admits(Wish.TAKE, mine) and board._board.router.targets((0, 0), 5) != []
    board._board.chips[0, 0].allocate(100, 17, 1, True)
    assert lease.admits(Wish.GREET, other) and not lease.admits(Wish.CHANGE, other)
    assert board._board.router.targets((0, 0), 5) != []
    board._board.stop(17)
    assert lease.admits(Wish.GREET, other) and board._board.router.targets((0, 0), 5) == []


def test_what_is_refused_again_and_again_is_told_once_and_leaves_room_for_cores(board):
    for number in range(1100):
        for _ in range(3):
            board._receive(bytes((0, 0, 7, 255, 0, 255, 255, 255, 0, 0)) + struct.pack(
                "<HH3I", 1000 + number, 0, 0, 0, 0), ("127.0.0.1", 9))  # fmt: skip
    assert len(board.errors) == len(set(board.errors)) == 500
    board._say("core 0, 0, 1: it failed")
    assert board.errors[-1] == "core 0, 0, 1: it failed"


def test_a_process_is_found_by_port_and_address():
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in "ab"]
        made[0].bind(("127.0.0.77", 0))
        here = made[0].getsockname()
        for guess in (None, 1, os.getpid()):
            assert process_of(here, guess) == os.getpid()
        assert process_of(("127.0.0.78", here[1])) == GONE
        assert process_of(("127.0.0.78", here[1]), 1) == 1  # what it sent before it closed
        made[1].bind(("0.0.0.0", 0))
        assert process_of(("127.0.0.78", made[1].getsockname()[1])) == os.getpid()


def test_two_boards_at_different_addresses_and_none_twice():
    with emulated_board(version=3) as one, emulated_board() as other:
        assert one.address != other.address
        assert Host(one.address).ask(0)[10] == Host(other.address).ask(0)[10] == 0x80
        with pytest.raises(BoardAddressError, match=r"already, or.*UDP port 17893\. Use that"):
            emulated_board(one.address)
    emulated_board(one.address)._close()  # free again


def test_a_port_that_another_program_has_is_named():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.251.3", 54321))
        with pytest.raises(BoardAddressError, match=r"a program has its UDP port 54321\."):
            emulated_board("127.0.251.3")


def test_where_no_address_is_free_the_reason_is_told(monkeypatch):
    def taken(address, version, make):
        raise BoardAddressError(f"{address} is taken")

    monkeypatch.setattr("pynn_models.spinnaker.board.EmulatedBoard", taken)
    with pytest.raises(BoardAddressError, match=r"Stop some.*The last of them: 127\..*is taken"):
        emulated_board()


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.240.1", "::1", "localhost", "", "127.1"])
def test_only_this_computer_is_served(address):
    with pytest.raises(BoardAddressError, match=r"Give one of 127\.\*"):
        emulated_board(address)


def test_only_boards_that_there_are():
    with pytest.raises(EmulatedBoardError, match="version 4 is not emulated; use 3"):
        EmulatedBoard("127.0.0.9", 4)


def test_a_board_that_ends_by_itself_says_so():
    board = emulated_board(version=3)
    board._monitor.answer = lambda request: 1 / 0
    with board:
        with pytest.raises(TimeoutError):
            Host(board.address).ask(0)
        assert not board.wait(1)
        with pytest.raises(BoardStoppedError, match="ZeroDivisionError.*please report"):
            board.check()
        board._failure = None


def test_a_board_that_ends_by_itself_is_the_cause_of_what_fails_on_it():
    board = emulated_board(version=3)
    board._monitor.answer = lambda request: 1 / 0
    with pytest.raises(BoardStoppedError, match="ZeroDivisionError") as raised, board:
        Host(board.address).ask(0)
    assert isinstance(raised.value.__context__, TimeoutError)


def test_a_tag_leads_nowhere_but_to_this_computer():
    with emulated_board(version=3) as board:
        host = Host(board.address)
        assert host.ask(26, 1 << 16 | 1, 17000, 0x01010101)[10] == 0x84
        assert "reaches its own computer only" in board.errors[-1]
        assert host.ask(26, 1 << 16 | 1, 17000, 0x0100007F)[10] == 0x80
        assert host.ask(26, 2 << 16 | 1)[14:20] == b"\x7f\0\0\1" + bytes(2)
        assert host.ask(26, 1 << 16 | 8, 17000, 0x0100007F)[10] == 0x84
        reverse = 1 << 29 | 1 << 16 | 1 << 13 | 3 << 8
        assert host.ask(26, reverse | 2, 0x00000000 | 17000)[10] == 0x80
        assert host.ask(26, reverse | 3, 0x00000000 | 17893)[10] == 0x84  # taken
        assert host.ask(26, 3 << 16 | 2)[10] == 0x80
