"""Verdicts as HTML: a word and a sign, so that no colour is needed to read them."""

from collections.abc import Iterable, Mapping
from typing import Final

from ..verdicts import WORST_FIRST, Verdict
from .markup import Markup, joined, tag

#: What an entry without a verdict shows.
NOT_VISIBLE: Final = "not visible"
SIGNS: Final = {
    Verdict.PASS: "✓",
    Verdict.WARN: "!",
    Verdict.FAIL: "✕",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_TESTED: "–",
}


def badge(verdict: str | None) -> Markup:
    """Return a verdict as a word with a sign."""
    if verdict is None:
        return tag("span", _sign("–"), NOT_VISIBLE, class_="badge none")
    return tag("span", _sign(SIGNS[Verdict(verdict)]), verdict, class_=f"badge {_class(verdict)}")


def counts(verdicts: Iterable[str | None]) -> Markup:
    """Return how often there is each verdict, the worst first: a sign and a number each, with the
    word for those who hear the page."""
    listed = [each for each in verdicts if each is not None]
    numbers = {each: listed.count(each) for each in WORST_FIRST}
    return joined(
        tag(
            "span",
            _sign(SIGNS[verdict]),
            str(number),
            tag("span", f" {verdict} ", class_="hidden"),
            class_=f"count {_class(verdict)}",
            title=f"{number} {verdict}",
        )
        for verdict, number in numbers.items()
        if number
    )


def check_links(ids: Iterable[str], verdicts: Mapping[str, str]) -> Markup:
    """Return a list of links to checks, each with its verdict, the worst first.

    :param verdicts: the verdicts of the checks that are on the page, by their IDs.
    """
    ranks = {str(verdict): rank for rank, verdict in enumerate(WORST_FIRST)}
    known = sorted(
        (each for each in ids if each in verdicts), key=lambda each: ranks[verdicts[each]]
    )
    items = [tag("li", _check_link(each, verdicts[each])) for each in known]
    return tag("ul", *items, class_="links") if items else Markup("")


def _check_link(check_id: str, verdict: str) -> Markup:
    word = tag("span", _sign(SIGNS[Verdict(verdict)]), verdict, class_=f"word {_class(verdict)}")
    return joined([tag("a", check_id, href=f"#check-{check_id}"), " ", word])


def _sign(sign: str) -> Markup:
    return tag("span", sign, class_="sign", aria_hidden="true")


def _class(verdict: str) -> str:
    return verdict.replace(" ", "-")
