"""``python -m support.emulated_board ADDRESS``: a board until it is interrupted."""

import contextlib
import sys

from support.emulated_board.server import EmulatedBoard

if __name__ == "__main__":
    with EmulatedBoard(sys.argv[1]) as board, contextlib.suppress(KeyboardInterrupt):
        board.join()
