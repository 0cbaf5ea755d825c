"""A citation of a specification names a section that exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .reading import ROOT, all_tests

#: The file that lists the sections of each document.
TABLE = ROOT / "tests" / "citations.txt"

DOCUMENT = r"RFC \d+|OpenID Connect [A-Z]\w+ 1\.0|draft-ietf-oauth-reciprocal-04"
NUMBER = r"(?:\d+|[A-Z])(?:\.\d+)*(?!\w)"
#: ``2.1``, ``2.1 and 2.2``, or ``2.3.1 (client authentication), 4.1.3 (code) and 6``.
NUMBERS = rf"{NUMBER}(?:(?: \([^()]*\))?(?:,| and|, and| to) {NUMBER})*"
CITATION = re.compile(rf"({DOCUMENT}),? (?:sections?|appendix) ({NUMBERS})")
#: In pages of the documentation: ``:rfc:`RFC 6749, section 2.3 <6749#section-2.3>```.
TARGET = re.compile(r"<(\d+)#(?:section|appendix)-([\w.]+)>")
#: Forms that say the same in another way than ``RFC 6749, section 4.1.3``.
OTHER_FORM = re.compile(r"RFC\d{4}(?!\w)|RFC \d+ (?:section|appendix)|§|(?:RFC \d+), \d")


def sections_of() -> dict[str, set[str]]:
    sections: dict[str, set[str]] = {}
    for line in TABLE.read_text().splitlines():
        if line.startswith("["):
            name = line[1:-1]
        elif line and not line.startswith("#"):
            sections.setdefault(name, set()).update(line.split())
    return sections


def folded(source: str) -> str:
    """The text on one line, without the marks that begin lines of comments."""
    return " ".join(re.sub(r"(?m)^\s*(?:#:?\s)?", "", source).split())


def citations_in(source: str) -> Iterator[tuple[str, str]]:
    """Document and section of each citation."""
    text = folded(source)
    for document, numbers in CITATION.findall(text):
        without_remarks = re.sub(r"\([^()]*\)", "", numbers)
        for number in re.findall(NUMBER, without_remarks):
            yield document, number
    for number, section in TARGET.findall(text):
        yield f"RFC {number}", section


def texts() -> list[Path]:
    """The modules of the package, its templates, and the pages of the documentation."""
    package = ROOT / "reciprocal_oauth"
    return [
        *sorted(package.rglob("*.py")),
        *sorted(package.rglob("*.html")),
        *sorted((ROOT / "docs").glob("*.rst")),
        *sorted(ROOT.glob("*.md")),
    ]


SECTIONS = sections_of()


def test_each_cited_section_exists() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}: {document}, section {section}"
        for path in texts()
        for document, section in citations_in(path.read_text())
        if section not in SECTIONS.get(document, set())
    ]

    assert offenders == []


def test_each_section_that_a_test_is_marked_with_exists() -> None:
    offenders = [
        f"{test.name}: {document}, section {section}"
        for test in all_tests()
        for document, section in test.marked("rfc")
        if section not in SECTIONS.get(f"RFC {document}", SECTIONS.get(document, set()))
    ]

    assert offenders == []


def test_the_package_cites_in_one_form() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in (ROOT / "reciprocal_oauth").rglob("*.py")
        for found in OTHER_FORM.findall(folded(path.read_text()))
    ]

    assert offenders == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(RFC 6749, section 4.1.3).", [("RFC 6749", "4.1.3")]),
        ("of RFC 6749 section 4.1.3: a", [("RFC 6749", "4.1.3")]),
        ("RFC 7009, section 2.1 and 2.2)", [("RFC 7009", "2.1"), ("RFC 7009", "2.2")]),
        ("RFC 7009, sections 2 and 3.", [("RFC 7009", "2"), ("RFC 7009", "3")]),
        (
            "RFC 6749, sections 2.3.1 (secrets), 4.1.3 (codes) and 6 (refresh)",
            [("RFC 6749", "2.3.1"), ("RFC 6749", "4.1.3"), ("RFC 6749", "6")],
        ),
        ("RFC 6749, appendix A.1: a", [("RFC 6749", "A.1")]),
        ("RFC 6749, appendix B.", [("RFC 6749", "B")]),
        (
            "#: draft-ietf-oauth-reciprocal-04, section\n#: 2.2.2.",
            [("draft-ietf-oauth-reciprocal-04", "2.2.2")],
        ),
        (
            "    # (OpenID Connect Core 1.0,\n    # section 3.1.3.7, item 6)",
            [("OpenID Connect Core 1.0", "3.1.3.7")],
        ),
        (":rfc:`RFC 8414, section 3.1 <8414#section-3.1>`", [("RFC 8414", "3.1")] * 2),
        ("RFC 6749 and RFC 7009", []),
    ],
)
def test_the_reader_of_citations_sees_what_it_should(
    text: str, found: list[tuple[str, str]]
) -> None:
    assert list(citations_in(text)) == found
