"""Compute the positions of the bars in bar charts. Templates draw the charts as SVG images.

A label names one bar, for example a day. A series is one kind of number that is counted for every
label, for example “failed hand-overs”; it has its own colour. A column chart has vertical bars, and
a row chart has horizontal bars.

A chart is as wide as the page, so horizontal positions are percentages of this width. Vertical
positions are in pixels, so that the text in a chart always has the same size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

#: The sizes of a column chart in pixels. The chart has a base line (for zero) and an upper line
#: (for the end of the scale). ``_TALL`` is the distance between the two lines, ``_ABOVE`` is the
#: space above the upper line, and ``_BELOW`` is the space below the base line.
_TALL, _ABOVE, _BELOW = 140, 22, 24
#: The sizes of a row chart in pixels. ``_ROW`` is the height of a whole row, ``_TEXT`` is the
#: height of the text at the top of the row, and ``_BAR`` is the height of the bar below this text.
_ROW, _TEXT, _BAR = 44, 16, 14
#: The width of a column chart is divided equally among the columns. Each column fills this fraction
#: of its share, and the rest is the gap to the next column.
_FILLED = 0.7

#: The numbers for the upper line of a column chart, which are easy to read. If the tallest column
#: stands for more than 10, the line stands for one of these numbers times 1, 10, 100 and so on.
_ROUND = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)

#: One kind of number in a chart, such as “failed”: its name, and its value for each label of the
#: chart. For example, the labels are days, and the values are the counts on these days.
Series = tuple[str, Sequence[int]]


@dataclass(frozen=True)
class Part:
    """One rectangle of a bar. It shows the value of one series.

    ``x`` and ``width`` are percentages of the width of the chart; ``y`` and ``height`` are pixels.
    All four are strings with a decimal point in every language, because SVG does not accept a
    decimal comma.

    :ivar series: the index of the series whose value the rectangle shows.
    """

    series: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Bar:
    """The bar of one label, for example of one day.

    :ivar text: the label and its values in words, such as “1 May: 5 redeemed, 1 failed”.
    :ivar parts: the rectangles of the bar, one for each series whose value is not zero.
    :ivar text_x: in a row chart, the horizontal position of ``text`` as a percentage of the width
        of the chart; not used in a column chart.
    :ivar text_y: in a row chart, the vertical position of ``text`` in pixels; not used in a column
        chart.
    """

    text: str
    parts: list[Part]
    text_x: int = 0
    text_y: int = 0


@dataclass(frozen=True)
class Tick:
    """A label below the columns of a column chart.

    :ivar text: the text of the label.
    :ivar x: the horizontal position, as a percentage of the width of the chart.
    :ivar place: how the text is aligned: ``start`` if the text begins at ``x``, ``middle`` if its
        middle is at ``x``, or ``end`` if it ends at ``x``.
    """

    text: str
    x: str
    place: str


@dataclass(frozen=True)
class Chart:
    """The data that a template needs to draw one chart.

    A chart is a column chart (vertical bars) or a row chart (horizontal bars). It has one bar for
    each label, such as a day. A bar consists of the values of one or more series. A column chart
    has two horizontal lines: the base line for zero, and the upper line for the number ``top``.

    :ivar bars: the bars, one for each label.
    :ivar names: the names of the series.
    :ivar height: the height of the whole chart in pixels.
    :ivar start: the horizontal position at which a line of text begins: 0 (percent of the width) in
        languages that are written from left to right, and 100 in other languages.
    :ivar ticks: the labels below the columns; empty in a row chart.
    :ivar top: the number that the upper line of a column chart stands for; 0 in a row chart.
    :ivar top_y: the vertical position of the upper line in pixels.
    :ivar base_y: the vertical position of the base line in pixels.
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
    """Return a chart with one vertical bar (a column) for each label, or ``None`` if all values
    are zero.

    In each column, the values of the series are stacked on top of each other. Only the first, the
    middle and the last label are shown below the columns.

    :param mirrored: whether to draw the chart from right to left, as in Arabic.
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
    """Return a chart with one horizontal bar (in a row of its own) for each label, or ``None`` if
    all values are zero.

    In each row, the values of the series are side by side.

    :param mirrored: whether to draw the chart from right to left, as in Arabic.
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
    """Round ``value`` up to a number that is easy to read, for example 143 to 150."""
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
