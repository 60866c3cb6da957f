"""ListOps: the value, 0 to 9, of a nested list of operators, one symbol a step (Long Range Arena).

``[MAX 2 9 [MIN 4 7 ] 0 ]`` is 9. A node is an operator with probability 1/4, else a digit; an
operator is MIN, MAX, MED (the median, rounded down) or SM (the sum modulo 10) of 2 to 10 nodes; a
node at depth 10 is a digit. Trees of 501 to 1,999 symbols are kept; parentheses are left out
(Tay et al., Long Range Arena, arXiv 2011.04006, and its generator's definition).

Symbols: 0 fills up at the end, 1 to 10 are the digits, 11 to 14 the operators with their opening
bracket, 15 the closing bracket. Two sources are read, the first that is there, from the data
directory or its folder ``listops``: the official ``basic_train.tsv`` (and ``val``, ``test``), and
``listops-train.npz`` (likewise), which ``snn-ssm train listops --download`` generates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import Config, TaskConfig, TrainingConfig
from snn_ssm.tasks.base import (
    DataError,
    Samples,
    arranged,
    gated_spiking_units,
    locate,
    make_folder,
    order,
    read_file,
    read_label,
)
from snn_ssm.tasks.ragged import Ragged, join, read_ragged, write_ragged

CLASSES = tuple("0123456789")
COUNTS = {"train": 96_000, "val": 2_000, "test": 2_000}
OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
FIRST_DIGIT = 1
FIRST_OPERATOR = 11
CLOSE = 15
VOCABULARY = 16
SHORTEST, LONGEST = 501, 1999
DEPTH = 10
ARGUMENTS = 10
_HEADER = b"Source\tTarget"
_OPERATOR_PROBABILITY = 0.25
_SEEDS = {"train": 0, "val": 1, "test": 2}
_TREES_AT_ONCE = 5_000  # some hundred thousand nodes


def _grow(rng: np.random.Generator, roots: int) -> list[NDArray[np.int64]]:
    """Trees, all at once, level by level: each node's number of arguments, 0 for a digit.

    The nodes of a level stand in the order of their parents.
    """
    arities = []
    count = roots
    for depth in range(1, DEPTH + 1):
        inner = rng.random(count) < _OPERATOR_PROBABILITY
        arity = np.where(inner & (depth < DEPTH), rng.integers(2, ARGUMENTS + 1, count), 0)
        arities.append(arity)
        count = int(arity.sum())
    return arities


def _sums(values: NDArray[np.int64], arity: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of each node's arguments: values (children,), arity (nodes,) -> (nodes,)."""
    total = np.concatenate([[0], np.cumsum(values)])
    ends = np.cumsum(arity)
    return total[ends] - total[ends - arity]


def _lengths(arities: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """How many symbols each node has with all below it: a digit one, an operator two more."""
    lengths = [np.ones_like(arities[-1])]
    for arity in reversed(arities[:-1]):
        lengths.insert(0, np.where(arity > 0, 2 + _sums(lengths[0], arity), 1))
    return lengths


def _prune(
    arities: list[NDArray[np.int64]], keep: NDArray[np.bool_]
) -> list[NDArray[np.int64]]:
    """The trees of the roots in ``keep``."""
    kept = []
    for arity in arities:
        kept.append(arity[keep])
        keep = np.repeat(keep, arity)
    return kept


def _operate(
    operator: NDArray[np.int64], arity: NDArray[np.int64], arguments: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The value of each operator: (nodes,), (nodes,) and the arguments one after the other."""
    nodes = np.arange(len(arity))
    firsts = np.repeat(np.cumsum(arity) - arity, arity)
    table = np.full((len(arity), ARGUMENTS), 10)  # above any digit: what is unused sorts last
    table[np.repeat(nodes, arity), np.arange(len(arguments)) - firsts] = arguments
    table.sort(axis=1)
    median = (table[nodes, (arity - 1) // 2] + table[nodes, arity // 2]) // 2
    results = (table[:, 0], table[nodes, arity - 1], median, _sums(arguments, arity) % 10)
    return np.stack(results)[operator, nodes]


def _fill(
    rng: np.random.Generator, arities: list[NDArray[np.int64]]
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Digits and operators for every node: the symbols of each level, and the roots' values."""
    symbols: list[NDArray[np.int64]] = []
    values = np.zeros(0, np.int64)
    for arity in reversed(arities):
        digit = rng.integers(0, 10, len(arity))
        operator = rng.integers(0, len(OPERATORS), len(arity))
        inner = arity > 0
        symbols.insert(0, np.where(inner, FIRST_OPERATOR + operator, FIRST_DIGIT + digit))
        digit[inner] = _operate(operator[inner], arity[inner], values)
        values = digit
    return symbols, values


def _write(
    arities: list[NDArray[np.int64]],
    lengths: list[NDArray[np.int64]],
    symbols: list[NDArray[np.int64]],
) -> Ragged:
    """The trees' symbols in reading order."""
    offsets = np.concatenate([[0], np.cumsum(lengths[0])])
    values = np.zeros(offsets[-1], np.uint8)
    starts = offsets[:-1]
    for level, (arity, length, symbol) in enumerate(zip(arities, lengths, symbols, strict=True)):
        values[starts] = symbol
        values[(starts + length - 1)[arity > 0]] = CLOSE
        if level + 1 < len(arities):
            child = lengths[level + 1]
            before = np.cumsum(child) - child  # the symbols of all nodes before, in this level
            shift = starts + 1 - (np.cumsum(_sums(child, arity)) - _sums(child, arity))
            starts = before + np.repeat(shift, arity)
    return Ragged(values, offsets)


def generate(rng: np.random.Generator, count: int) -> tuple[Ragged, NDArray[np.uint8]]:
    """``count`` trees by the definition: their symbols, and their values (B,)."""
    items: list[bytes] = []
    labels: list[NDArray[np.int64]] = []
    while len(items) < count:
        arities = _grow(rng, _TREES_AT_ONCE)
        length = _lengths(arities)[0]
        arities = _prune(arities, (length >= SHORTEST) & (length <= LONGEST))
        symbols, values = _fill(rng, arities)
        trees = _write(arities, _lengths(arities), symbols)
        items += [trees.item(i).tobytes() for i in range(len(trees))]
        labels.append(values)
    return join(items[:count]), np.concatenate(labels)[:count].astype(np.uint8)


_CODES = {name.encode(): bytes([FIRST_OPERATOR + i]) for i, name in enumerate(OPERATORS)}
_BYTES = bytes.maketrans(b"0123456789]", bytes([*range(FIRST_DIGIT, FIRST_OPERATOR), CLOSE]))


def encode(source: bytes) -> bytes:
    """The symbols of a tree written out, parentheses or not; raises ``ValueError``."""
    if source.translate(None, b"( )[]MINAXEDS0123456789"):
        raise ValueError("it has other characters than those of operators, digits and brackets")
    for name, code in _CODES.items():
        source = source.replace(name, code)
    symbols = source.translate(_BYTES, b"( )")
    if not symbols or max(symbols) > CLOSE:
        raise ValueError(f"it is no list of {', '.join(OPERATORS)}, digits and ]")
    return symbols


def read_table(path: Path) -> tuple[Ragged, NDArray[np.int64]]:
    """Symbols and values of an official file: a header, then ``Source`` tab ``Target`` a line.

    Raises :class:`DataError`.
    """
    items, labels = [], []
    lines = read_file(path).splitlines()
    if lines and lines[0] != _HEADER:
        raise DataError(
            f"{path} begins with {lines[0][:60]!r}; expected the header {_HEADER!r}. Fetch the "
            "file again."
        )
    for number, line in enumerate(lines[1:], start=2):
        source, _, target = line.partition(b"\t")
        try:
            items.append(encode(source))
            labels.append(read_label(target))
        except ValueError as error:
            raise DataError(
                f"{path}, line {number}: {error}; expected a tree, a tab and its value. Fetch the "
                "file again."
            ) from error
    return join(items), np.array(labels, np.int64)


@dataclass(frozen=True)
class ListOps:
    """Nested lists, a symbol a step."""

    name: str = "listops"
    classes: tuple[str, ...] = CLASSES

    def config(self) -> Config:
        """A causal GSU for two cores; every list fits its steps."""
        return Config(
            task=TaskConfig(self.name, 2000),
            model=gated_spiking_units(
                inputs=VOCABULARY, encoder="embedding", input_bits=0, input_scale=1.0
            ),
            training=TrainingConfig(
                epochs=5, rate=1e-2, mode_rate=3e-3, weight_decay=0.05
            ),
        )

    def load(self, data: Path, split: str, task: TaskConfig) -> Samples:
        """Symbols (B, 1, steps) uint8, cut off or filled up with 0, and values (B,)."""
        table = locate(data, self.name, f"basic_{split}.tsv")
        made = locate(data, self.name, f"listops-{split}.npz")
        if table is not None:
            trees, labels = read_table(table)
        elif made is not None:
            trees, labels = read_ragged(made, "ListOps")
        else:
            raise DataError(
                f"neither basic_{split}.tsv nor listops-{split}.npz is in {data} or "
                f"{data / self.name}. Generate the latter: 'snn-ssm train listops --download "
                f"--data {data}', which takes minutes."
            )
        index = order(len(trees), split, task)
        source = "" if table is not None else "own generator"
        rows = trees.rows(index, task.steps)
        return arranged(rows, labels[index], task, len(CLASSES), source)

    def download(self, data: Path) -> None:
        """Generate the splits that are missing: 96,000, 2,000 and 2,000 trees, always the same."""
        for split, count in COUNTS.items():
            names = (f"basic_{split}.tsv", f"listops-{split}.npz")
            if all(locate(data, self.name, name) is None for name in names):
                folder = make_folder(data / self.name)
                trees, labels = generate(np.random.default_rng(_SEEDS[split]), count)
                write_ragged(folder / names[1], trees, labels)


LISTOPS = ListOps()
