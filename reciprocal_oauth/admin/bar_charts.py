"""Bar charts: where each bar is drawn. Computed here and drawn by templates.

As wide as there is room: places across are in percent of the width, and heights in pixels, so that
text keeps its size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

#: Pixels: of the tallest column, above it, and below it.
_TALL, _ABOVE, _BELOW = 140, 22, 24
#: Pixels: from one row to the next, of the text within, and of the bar.
_ROW, _TEXT, _BAR = 44, 16, 14
#: How much of its place a column takes.
_FILLED = 0.7

#: What the upper line of columns may stand for, times a power of ten.
_ROUND = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)

#: A series: its name, and its values in the order of the labels.
Series = tuple[str, Sequence[int]]


@dataclass(frozen=True)
class Part:
    """One rectangle. ``x`` and ``width`` are percent, as text that no locale changes."""

    series: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Bar:
    """The values of one label. ``text`` says them in words."""

    text: str
    parts: list[Part]
    text_x: int = 0
    text_y: int = 0


@dataclass(frozen=True)
class Tick:
    """A label below the columns."""

    text: str
    x: str
    place: str


@dataclass(frozen=True)
class Chart:
    """:ivar top: the value at the upper line; its place is ``top_y``, that of zero ``base_y``.
    :ivar start: where a line of writing begins, in percent of the width.
    """

    bars: list[Bar]
    names: list[str]
    height: int
    start: int
    ticks: list[Tick]
    top: int = 0
    top_y: int = _ABOVE
    base_y: int = _ABOVE + _TALL


def columns(
    labels: Sequence[str], series: Sequence[Series], *, mirrored: bool = False
) -> Chart | None:
    """A column for each label, in the order of writing, the series on top of each other; ``None``
    where all is zero. The first label, that in the middle and the last are written out."""
    highest = _highest(labels, series)
    if not highest:
        return None
    top, place = _round_up(highest), 100 / len(labels)
    bars = []
    for number, label in enumerate(labels):
        parts, base = [], float(_ABOVE + _TALL)
        x = _from_start(place * (number + (1 - _FILLED) / 2), place * _FILLED, mirrored)
        for which, (_name, values) in enumerate(series):
            if values[number]:
                # At least a pixel: one that failed among thousands is what to look for.
                height = max(values[number] / top * _TALL, 1)
                base -= height
                parts.append(_part(which, x, base, place * _FILLED, height))
        bars.append(Bar(_said(label, series, number), parts))
    written = {0: "start", (len(labels) - 1) // 2: "middle", len(labels) - 1: "end"}
    ticks = [
        Tick(labels[number], f"{_tick_x(number, place, where, mirrored):.2f}", where)
        for number, where in written.items()
    ]
    names = [name for name, _values in series]
    start = 100 if mirrored else 0
    return Chart(bars, names, _ABOVE + _TALL + _BELOW, start, ticks, top)


def rows(
    labels: Sequence[str], series: Sequence[Series], *, mirrored: bool = False
) -> Chart | None:
    """A row for each label, the series one after the other; ``None`` where all is zero."""
    highest = _highest(labels, series)
    if not highest:
        return None
    bars = []
    for number, label in enumerate(labels):
        parts, along = [], 0.0
        for which, (_name, values) in enumerate(series):
            if values[number]:
                width = max(values[number] / highest * 100, 0.3)
                x = _from_start(along, width, mirrored)
                parts.append(_part(which, x, _ROW * number + _TEXT + 6, width, _BAR))
                along += width
        said = _said(label, series, number)
        bars.append(Bar(said, parts, 100 if mirrored else 0, _ROW * number + _TEXT))
    names = [name for name, _values in series]
    return Chart(bars, names, _ROW * len(labels), 100 if mirrored else 0, [])


def _highest(labels: Sequence[str], series: Sequence[Series]) -> int:
    sums = (sum(values[number] for _name, values in series) for number in range(len(labels)))
    return max(sums, default=0)


def _round_up(value: int) -> int:
    """To a number that is easily read, and not much larger."""
    if value <= 10:
        return value
    step: int = 10 ** (len(str(value)) - 2)
    return next(each * step for each in _ROUND if each * step >= value)


def _from_start(x: float, width: float, mirrored: bool) -> float:
    return 100 - x - width if mirrored else x


def _tick_x(number: int, place: float, where: str, mirrored: bool) -> float:
    x = {"start": 0.0, "middle": place * (number + 0.5), "end": 100.0}[where]
    return 100 - x if mirrored else x


def _part(series: int, x: float, y: float, width: float, height: float) -> Part:
    return Part(series, f"{x:.2f}", f"{y:.1f}", f"{width:.2f}", f"{height:.1f}")


def _said(label: str, series: Sequence[Series], number: int) -> str:
    counts = [f"{values[number]} {name}".rstrip() for name, values in series]
    return f"{label}: {', '.join(counts)}"
