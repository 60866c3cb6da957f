"""A heap in the programs' own format, since they allocate in it, too.

Root: first free block, first block, last block, free bytes. A block: the next block, then the
next free one, or 0xFFFF0000 + (application << 8) + tag where it is allocated; data follow.
"""

from pynn_models.spinnaker.board.memory import Memory

_ALLOCATED = 0xFFFF0000
_HEADER = 8


class Heap:
    """First fit between two addresses; the first one holds the root."""

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

    def allocate(self, size: int, owner: int = 0) -> int:
        """The address of ``size`` bytes, 0 if there is no room; ``owner``: app << 8 + tag."""
        get = self.memory.get
        need = (size + 3 & ~3) + _HEADER
        link, block = self.root, get(self.root)
        while block and get(block) - block < need:
            link, block = block + 4, get(block + 4)
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

    def free(self, app: int) -> None:
        """Free what an application allocated, and join neighbours that are free."""
        get = self.memory.get
        block, last = get(self.root + 4), get(self.root + 8)
        free: list[list[int]] = []
        while block != last:
            following, mark = get(block), get(block + 4)
            if mark & _ALLOCATED != _ALLOCATED or mark >> 8 & 0xFF == app:
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
