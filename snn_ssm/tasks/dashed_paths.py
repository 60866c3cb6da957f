"""Pictures of dashed paths: are two dots the ends of one path? (Pathfinder)

Two long paths of paddles (dashes), each turning a little from paddle to paddle, among short ones
that distract; a dot marks the start of one long path, another the end of the same (label 1) or of
the other (label 0). The definition is that of Linsley et al., Learning long-range spatial
dependencies with horizontal gated recurrent units (NeurIPS 2018); the sizes are those of Long
Range Arena's hard sets. The pictures are drawn anew, not those of either.

From a paddle's end at angle a, the next one begins a margin on, a turn t, and a margin more on:

    pivot = end + margin u(a),  start' = pivot + margin u(a + t),  end' = start' + length u(a + t)

with u(a) = (cos a, sin a) and the density of t proportional to cos^2(continuity t), |t| at most
pi / (2 continuity). So consecutive paddles are 2 margin apart at most; all others are further.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pynn_models.jit import njit

_TURNS = 32  # that are tried before a path is given up
_TRIES = 5  # of a distracting path, before the picture does without


class Drawing(NamedTuple):
    """The sizes of a picture, in pixels, and its numbers of paths and paddles."""

    side: int
    length: float
    thickness: float
    margins: tuple[int, int]  # the least and the largest; one is drawn for each picture
    dot_radius: float
    separation: float  # of the two long paths' starts
    continuity: float
    paddles: int = 14
    distractors: int = 5
    distractor_paddles: int = 4
    padding: float = 1.0


DRAWING_32 = Drawing(32, 2.0, 0.5, (1, 1), 1.5, 7.0, 1.0)
DRAWING_128 = Drawing(128, 5.0, 1.5, (2, 3), 3.0, 20.0, 1.8, distractors=8)


@dataclass(frozen=True)
class Scene:
    """``paddles`` (K, 4): x0, y0, x1, y1 from start to end, the two long paths' by turns first.

    ``dots`` (2, 2): x, y; ``margin`` half the largest gap within a path; ``label`` 1 where the dots
    are ends of one path.
    """

    paddles: NDArray[np.float64]
    dots: NDArray[np.float64]
    margin: int
    label: int


@njit()
def _distance(x: float, y: float, paddle: NDArray[np.float64]) -> float:
    """From a point to the nearest of a paddle, which may have no length."""
    across, down = paddle[2] - paddle[0], paddle[3] - paddle[1]
    square = across**2 + down**2
    along = (x - paddle[0]) * across + (y - paddle[1]) * down
    along = min(max(along / square, 0.0), 1.0) if square > 0 else 0.0
    return math.hypot(x - paddle[0] - along * across, y - paddle[1] - along * down)


@njit()
def _fits(
    drawing: Drawing, margin: int, paddles: NDArray[np.float64], count: int, last: int
) -> bool:
    """Whether paddle ``count`` is inside, and more than two margins from all but ``last``."""
    new = paddles[count]
    for value in new:
        if not drawing.padding <= value <= drawing.side - drawing.padding:
            return False
    # Ends suffice: where they are further than that, paddles below 4 margins long do not cross.
    for k in range(count):
        old = paddles[k]
        if k != last and (
            _distance(new[0], new[1], old) <= 2 * margin
            or _distance(new[2], new[3], old) <= 2 * margin
            or _distance(old[0], old[1], new) <= 2 * margin
            or _distance(old[2], old[3], new) <= 2 * margin
        ):
            return False
    return True


@njit()
def _put(drawing: Drawing, paddle: NDArray[np.float64], x: float, y: float, angle: float) -> None:
    paddle[0], paddle[1] = x, y
    paddle[2] = x + drawing.length * math.cos(angle)
    paddle[3] = y + drawing.length * math.sin(angle)


@njit()
def _turn(rng: np.random.Generator, continuity: float) -> float:
    """A turn of density proportional to cos^2(continuity turn), by rejection."""
    while True:
        phase = (rng.random() - 0.5) * math.pi
        if rng.random() < math.cos(phase) ** 2:
            return float(phase / continuity)


@njit()
def _extend(
    rng: np.random.Generator,
    drawing: Drawing,
    margin: int,
    paddles: NDArray[np.float64],
    count: int,
    last: int,
) -> bool:
    """Put paddle ``count`` after paddle ``last``; whether there was room."""
    x0, y0, x1, y1 = paddles[last]
    angle = math.atan2(y1 - y0, x1 - x0)
    x, y = x1 + margin * math.cos(angle), y1 + margin * math.sin(angle)
    for _ in range(_TURNS):
        new = angle + _turn(rng, drawing.continuity)
        start = x + margin * math.cos(new), y + margin * math.sin(new)
        _put(drawing, paddles[count], start[0], start[1], new)
        if _fits(drawing, margin, paddles, count, last):
            return True
    return False


@njit()
def _long_paths(
    rng: np.random.Generator, drawing: Drawing, margin: int, paddles: NDArray[np.float64]
) -> bool:
    """Two paths from near the centre, a paddle of each by turns; whether there was room."""
    inner = drawing.side - 4 * drawing.separation
    x = drawing.side / 2 + (rng.random() - 0.5) * inner
    y = drawing.side / 2 + (rng.random() - 0.5) * inner
    direction = 2 * math.pi * rng.random()
    _put(drawing, paddles[0], x, y, 2 * math.pi * rng.random())
    x += drawing.separation * math.cos(direction)
    y += drawing.separation * math.sin(direction)
    _put(drawing, paddles[1], x, y, 2 * math.pi * rng.random())
    if not (
        _fits(drawing, margin, paddles, 0, -1) and _fits(drawing, margin, paddles, 1, -1)
    ):
        return False
    for count in range(2, 2 * drawing.paddles):
        if not _extend(rng, drawing, margin, paddles, count, count - 2):
            return False
    return True


@njit()
def _short_path(
    rng: np.random.Generator,
    drawing: Drawing,
    margin: int,
    paddles: NDArray[np.float64],
    count: int,
) -> bool:
    """A path anywhere from paddle ``count`` on; whether there was room."""
    x, y = drawing.side * rng.random(), drawing.side * rng.random()
    _put(drawing, paddles[count], x, y, 2 * math.pi * rng.random())
    if not _fits(drawing, margin, paddles, count, -1):
        return False
    for more in range(1, drawing.distractor_paddles):
        if not _extend(rng, drawing, margin, paddles, count + more, count + more - 1):
            return False
    return True


@njit()
def _place(
    rng: np.random.Generator, drawing: Drawing, margin: int, paddles: NDArray[np.float64]
) -> int:
    """All paths of a picture; how many paddles they have."""
    while not _long_paths(rng, drawing, margin, paddles):
        pass
    count = 2 * drawing.paddles
    for _ in range(drawing.distractors):
        for _ in range(_TRIES):
            if _short_path(rng, drawing, margin, paddles, count):
                count += drawing.distractor_paddles
                break
    return count


@njit()
def _cover(image: NDArray[np.uint8], shape: NDArray[np.float64], radius: float) -> None:
    """Brighten the pixels within ``radius`` of a paddle; its edge is a pixel wide."""
    reach = radius + 1.0
    top = max(int(min(shape[1], shape[3]) - reach), 0)
    bottom = min(int(max(shape[1], shape[3]) + reach) + 1, image.shape[0])
    left = max(int(min(shape[0], shape[2]) - reach), 0)
    right = min(int(max(shape[0], shape[2]) + reach) + 1, image.shape[1])
    for row in range(top, bottom):
        for column in range(left, right):
            away = _distance(column + 0.5, row + 0.5, shape)
            level = int(255 * min(max(radius + 0.5 - away, 0.0), 1.0) + 0.5)
            image[row, column] = max(image[row, column], level)


@njit()
def _paint(
    image: NDArray[np.uint8],
    drawing: Drawing,
    paddles: NDArray[np.float64],
    dots: NDArray[np.float64],
) -> None:
    for paddle in paddles:
        _cover(image, paddle, drawing.thickness / 2)
    for x, y in dots:
        _cover(image, np.array([x, y, x, y]), drawing.dot_radius)


def place(rng: np.random.Generator, drawing: Drawing) -> Scene:
    """Random paths and dots."""
    most = 2 * drawing.paddles + drawing.distractors * drawing.distractor_paddles
    paddles = np.empty((most, 4))
    margin = int(rng.integers(drawing.margins[0], drawing.margins[1] + 1))
    count = _place(rng, drawing, margin, paddles)
    label, first = (int(value) for value in rng.integers(0, 2, 2))
    second = first if label else 1 - first
    end = 2 * (drawing.paddles - 1) + second
    dots = np.stack([paddles[first, :2], paddles[end, 2:]])
    return Scene(paddles[:count], dots, margin, label)


def paint(scene: Scene, drawing: Drawing) -> NDArray[np.uint8]:
    """The picture (side, side) of a scene: light on dark, anti-aliased."""
    image = np.zeros((drawing.side, drawing.side), np.uint8)
    _paint(image, drawing, scene.paddles, scene.dots)
    return image


def generate(
    rng: np.random.Generator, count: int, drawing: Drawing
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """``count`` pictures (B, side, side) and their labels (B,)."""
    images = np.empty((count, drawing.side, drawing.side), np.uint8)
    labels = np.empty(count, np.uint8)
    for i in range(count):
        scene = place(rng, drawing)
        images[i], labels[i] = paint(scene, drawing), scene.label
    return images, labels
