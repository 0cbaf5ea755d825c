"""The positions of the bars in bar charts. Templates draw the charts as SVG.

Charts are as wide as the page: horizontal positions are percentages of the width. Vertical
positions are pixels, so that text keeps its size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

#: Pixels: the height of the tallest column, the space above it, and the space below it.
_TALL, _ABOVE, _BELOW = 140, 22, 24
#: Pixels: the height of a row, of the text in it, and of the bar in it.
_ROW, _TEXT, _BAR = 44, 16, 14
#: The width of a column, as a fraction of the space for it.
_FILLED = 0.7

#: The possible values of the upper line of a chart, times a power of ten.
_ROUND = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)

#: A series: its name, and its values in the order of the labels.
Series = tuple[str, Sequence[int]]


@dataclass(frozen=True)
class Part:
    """One rectangle. ``x`` and ``width`` are percentages, as text that does not depend on the
    language."""

    series: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Bar:
    """The bar of one label. ``text`` has the label and the values, for people who see no chart."""

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
    """A chart for a template.

    :ivar top: the value at the upper line. ``top_y`` is the position of this line, ``base_y`` that
        of the line for zero.
    :ivar start: the position at which a line of text begins, as a percentage.
    """

    bars: list[Bar]
    names: list[str]
    height: int
    start: int
    ticks: list[Tick]
    top: int = 0
    top_y: int = _ABOVE
    base_y: int = _ABOVE + _TALL


def column_chart(
    labels: Sequence[str], series: Sequence[Series], *, mirrored: bool = False
) -> Chart | None:
    """A chart with one column for each label, the series on top of each other. Only the first, the
    middle and the last label are shown. ``None`` if all values are zero.

    :param mirrored: whether the chart runs from right to left.
    """
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
                # At least one pixel: one failure among thousands must be visible.
                height = max(values[number] / top * _TALL, 1)
                base -= height
                parts.append(_part(which, x, base, place * _FILLED, height))
        bars.append(Bar(_in_words(label, series, number), parts))
    shown = {0: "start", (len(labels) - 1) // 2: "middle", len(labels) - 1: "end"}
    ticks = [
        Tick(labels[number], f"{_tick_x(number, place, where, mirrored):.2f}", where)
        for number, where in shown.items()
    ]
    names = [name for name, _values in series]
    start = 100 if mirrored else 0
    return Chart(bars, names, _ABOVE + _TALL + _BELOW, start, ticks, top)


def row_chart(
    labels: Sequence[str], series: Sequence[Series], *, mirrored: bool = False
) -> Chart | None:
    """A chart with one row for each label, the series side by side. ``None`` if all values are
    zero.

    :param mirrored: whether the chart runs from right to left.
    """
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
        text = _in_words(label, series, number)
        bars.append(Bar(text, parts, 100 if mirrored else 0, _ROW * number + _TEXT))
    names = [name for name, _values in series]
    return Chart(bars, names, _ROW * len(labels), 100 if mirrored else 0, [])


def _highest(labels: Sequence[str], series: Sequence[Series]) -> int:
    sums = (sum(values[number] for _name, values in series) for number in range(len(labels)))
    return max(sums, default=0)


def _round_up(value: int) -> int:
    """Round up to a number that is easy to read."""
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


def _in_words(label: str, series: Sequence[Series], number: int) -> str:
    counts = [f"{values[number]} {name}".rstrip() for name, values in series]
    return f"{label}: {', '.join(counts)}"
