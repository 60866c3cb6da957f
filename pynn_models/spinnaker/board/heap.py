"""A heap in the programs' own format, since they allocate in it, too.

Root: first free block, first block, last block, free bytes. A block: the next block, then the
next free one, or 0xFFFF0000 + (application << 8) + tag where it is allocated; data follow.
"""

from __future__ import annotations

from collections.abc import Callable

from pynn_models.spinnaker.board.memory import AddressError, Memory

_ALLOCATED = 0xFFFF0000
_HEADER = 8


class Heap:
    """First fit between two addresses; the first one holds the root.

    Programs and the host write to the same memory: blocks that do not ascend are refused as
    :class:`AddressError`.
    """

    def __init__(self, memory: Memory, bottom: int, top: int) -> None:
        self.memory, self.root = memory, bottom
        first, last = bottom + 16, top - _HEADER
        for at, word in enumerate((first, first, last, last - first)):
            memory.put(bottom + 4 * at, word)
        self._set(first, last, 0)
        self._set(last, 0, 0)

    def _set(self, block: int, following: int, free: int) -> None:
        self.memory.put(block, following)
        self.memory.put(block + 4, free)

    def _ascending(self, block: int, following: int) -> int:
        if following and following <= block:
            raise AddressError(f"the heap at {self.root:#010x} was overwritten at {block:#010x}")
        return following

    def _after(self, block: int) -> int:
        return self._ascending(block, self.memory.get(block))

    def allocate(self, size: int, owner: int = 0) -> int:
        """The address of ``size`` bytes, 0 if there is no room; ``owner``: app << 8 + tag."""
        get = self.memory.get
        need = (size + 3 & ~3) + _HEADER
        link, block = self.root, get(self.root)
        while block and self._after(block) - block < need:
            link, block = block + 4, self._ascending(block, get(block + 4))
        if not block:
            return 0
        following, free = get(block), get(block + 4)
        if following - block >= need + _HEADER:
            self._set(block + need, following, free)
            following = free = block + need
        self.memory.put(link, free)
        self._set(block, following, _ALLOCATED | owner)
        self.memory.put(self.root + 12, get(self.root + 12) - (following - block))
        return block + _HEADER

    @property
    def used(self) -> bool:
        """Whether a block is allocated."""
        get, root = self.memory.get, self.root
        return get(root + 12) != get(root + 8) - get(root + 4)

    def free(self, app: int) -> None:
        """Free what an application allocated, and join neighbours that are free."""
        self._free(lambda block, mark: mark >> 8 & 0xFF == app)

    def free_block(self, address: int) -> None:
        """Free the block whose data lie at an address, if there is one."""
        self._free(lambda block, mark: block + _HEADER == address)

    def _free(self, wanted: Callable[[int, int], bool]) -> None:
        get = self.memory.get
        block, last = get(self.root + 4), get(self.root + 8)
        free: list[list[int]] = []
        while block and block != last:
            following, mark = self._after(block), get(block + 4)
            if mark & _ALLOCATED != _ALLOCATED or wanted(block, mark):
                if free and free[-1][1] == block:
                    free[-1][1] = following
                else:
                    free.append([block, following])
            block = following
        link = self.root
        for block, following in free:
            self.memory.put(link, block)
            self.memory.put(block, following)
            link = block + 4
        self.memory.put(link, 0)
        self.memory.put(self.root + 12, sum(end - start for start, end in free))
