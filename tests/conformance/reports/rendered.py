"""Whole reports of the sample, compared with files."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from reciprocal_oauth.conformance import listing
from reciprocal_oauth.conformance.reports import files, junit, page, text

from .sample import sample_document

FOLDER: Final = Path(__file__).parent / "snapshots"


def page_without_style() -> str:
    """Return the page without its style sheet, which can change without a word on the page."""
    html = page.render(sample_document())
    html = re.sub(r"<style>.*</style>", "<style></style>", html, flags=re.DOTALL)
    html = re.sub(r"sha256-[A-Za-z0-9+/=]+", "sha256-", html)
    # A line for each of the larger elements, so that people can read what differs.
    return re.sub(
        r"(?<=>)(?=<(?:body|dl|dt|details|div|figure|h\d|li|meta|nav|p|section)\b)", "\n", html
    )


#: What makes the content of each file.
SNAPSHOTS: Final[dict[str, Callable[[], str]]] = {
    "report.json": lambda: files.as_json(sample_document()),
    "report.txt": lambda: text.render(sample_document()),
    "report_80_columns.txt": lambda: text.render(sample_document(), is_verbose=True, width=80),
    "report.xml": lambda: junit.render(sample_document()),
    "report.html": page_without_style,
    "dialect.txt": lambda: text.summary(sample_document(dialect="of a vendor", results=[])) + "\n",
    "dialect.xml": lambda: junit.render(sample_document(dialect="of a vendor", results=[])),
    "list.txt": lambda: listing.list_checks() + "\n",
    "list.json": lambda: listing.list_checks("a", as_json=True) + "\n",
    "sentences.txt": lambda: listing.list_checks("b", by_sentences=True) + "\n",
    "explain.txt": lambda: listing.explain("b-t") + "\n",
}
