"""Compute the positions of the bars in bar charts. Templates draw the charts as SVG images.

A chart is as wide as the page, so horizontal positions are percentages of this width. Vertical
positions are in pixels, so that the text in a chart always has the same size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

#: The sizes of a column chart in pixels: the height of the tallest column, the space above this
#: column, and the space below it.
_TALL, _ABOVE, _BELOW = 140, 22, 24
#: The sizes of a row chart in pixels: the height of a row, the height of the text at the top of the
#: row, and the height of the bar below the text.
_ROW, _TEXT, _BAR = 44, 16, 14
#: Each column fills this fraction of its space. The rest is the gap to the next column.
_FILLED = 0.7

#: If the tallest column of a chart stands for more than 10, the upper line of the chart stands for
#: one of these numbers, multiplied by a power of ten.
_ROUND = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)

#: One series of a chart: the name of the series, and one value for each label of the chart.
Series = tuple[str, Sequence[int]]


@dataclass(frozen=True)
class Part:
    """One rectangle of a bar.

    ``x`` and ``width`` are percentages of the width of the chart; ``y`` and ``height`` are pixels.
    They are strings with a decimal point, because SVG does not accept a decimal comma.

    :ivar series: the index of the series that the rectangle belongs to.
    """

    series: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Bar:
    """The bar of one label. It has one rectangle for each series whose value is not zero.

    :ivar text: the label and its values in words, such as “1 May: 5 redeemed, 1 failed”.
    :ivar text_x: the horizontal position of this text in a row chart; ``text_y`` is the vertical
        position.
    """

    text: str
    parts: list[Part]
    text_x: int = 0
    text_y: int = 0


@dataclass(frozen=True)
class Tick:
    """A label below the columns of a column chart.

    :ivar x: the horizontal position, as a percentage of the width of the chart.
    :ivar place: the part of the text that is at ``x``: ``start``, ``middle`` or ``end``.
    """

    text: str
    x: str
    place: str


@dataclass(frozen=True)
class Chart:
    """The data that a template needs to draw one chart.

    :ivar bars: the bars, one for each label.
    :ivar names: the names of the series.
    :ivar start: the horizontal position at which text begins: 0 percent, or 100 percent if the
        chart runs from right to left.
    :ivar ticks: the labels below the columns; empty in a row chart.
    :ivar top: the value that the upper line of a column chart stands for.
    :ivar top_y: the vertical position of the upper line.
    :ivar base_y: the vertical position of the line at the bottom, which stands for zero.
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
    """Return a chart with one column for each label, or ``None`` if all values are zero.

    In each column, the values of the series are stacked on top of each other. Only the first, the
    middle and the last label are shown.

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
                # Make each part at least one pixel high, so that one failure among thousands of
                # hand-overs is visible.
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
    """Return a chart with one row for each label, or ``None`` if all values are zero.

    In each row, the values of the series are side by side.

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
    """Return a number that is easy to read, for example 150, and is not less than ``value``."""
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
