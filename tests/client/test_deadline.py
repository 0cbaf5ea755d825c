"""A call with a shorter time limit than usual, which runs in a thread of its own."""

import pytest
from django.views.debug import ExceptionReporter

from reciprocal_oauth.client import deadline

CODE = "canary"


def test_an_error_report_shows_no_variables_of_the_thread() -> None:
    def call() -> str:
        secret = CODE[::-1]
        raise RuntimeError(len(secret))

    with pytest.raises(RuntimeError) as caught:
        deadline.within(5, call, late=lambda result: None)

    reporter = ExceptionReporter(None, caught.type, caught.value, caught.tb)
    report = reporter.get_traceback_html()
    assert "raise RuntimeError(len(secret))" in report
    assert CODE[::-1] not in report
