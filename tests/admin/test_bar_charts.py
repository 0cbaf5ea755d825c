"""Where the bars of a chart are drawn."""

from reciprocal_oauth.admin.bar_charts import column_chart, row_chart


def test_nothing_is_drawn_of_nothing() -> None:
    assert column_chart(["a", "b"], [("x", [0, 0])]) is None
    assert row_chart([], [("x", [])]) is None


def test_columns_stand_on_each_other_and_the_top_is_a_round_number() -> None:
    chart = column_chart(["Mon", "Tue"], [("done", [30, 0]), ("failed", [12, 0])])

    assert chart is not None
    assert chart.top == 50
    done, failed = chart.bars[0].parts
    assert float(failed.y) + float(failed.height) == float(done.y)
    assert float(done.y) + float(done.height) == chart.base_y
    assert chart.bars[0].text == "Mon: 30 done, 12 failed"
    assert chart.bars[1].parts == []


def test_the_few_that_failed_among_thousands_can_be_seen() -> None:
    chart = column_chart(["Mon"], [("done", [100_000]), ("failed", [1])])

    assert chart is not None
    assert float(chart.bars[0].parts[1].height) >= 1


def test_who_reads_from_right_to_left_has_the_first_on_the_right() -> None:
    series = [("done", [1, 2, 3])]
    chart, mirrored = (column_chart(list("abc"), series, mirrored=each) for each in (False, True))

    assert chart is not None
    assert mirrored is not None
    assert [part.x for bar in mirrored.bars for part in bar.parts] == [
        part.x for bar in reversed(chart.bars) for part in bar.parts
    ]
    assert (chart.start, mirrored.start) == (0, 100)
    assert [tick.x for tick in mirrored.ticks] == ["100.00", "50.00", "0.00"]


def test_rows_are_as_long_as_they_count() -> None:
    chart = row_chart(["Music", "Tv"], [("pending", [1, 3]), ("failed", [1, 5])])

    assert chart is not None
    assert [(part.x, part.width) for part in chart.bars[1].parts] == [
        ("0.00", "37.50"),
        ("37.50", "62.50"),
    ]
    assert chart.bars[0].text == "Music: 1 pending, 1 failed"


def test_rows_from_right_to_left() -> None:
    chart = row_chart(["Music"], [("pending", [1]), ("failed", [3])], mirrored=True)

    assert chart is not None
    assert [part.x for part in chart.bars[0].parts] == ["75.00", "0.00"]
    assert chart.bars[0].text_x == 100
