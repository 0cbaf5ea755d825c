"""The system check for ``SITE_METADATA``, which is what this site says of itself to other sites."""

import difflib
from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from ..conf import settings
from ..core import site_metadata
from .guards import needs_settings, needs_urls
from .ids import Id


@register(Tags.urls)
@needs_settings("BASE_URL", "SITE_METADATA")
@needs_urls
def check_site_metadata(**kwargs: Any) -> list[CheckMessage]:
    """Check that the keys of ``SITE_METADATA`` are known, and that its values can be used."""
    return [*_unknown_keys(), *_wrong_values()]


def _unknown_keys() -> Iterator[CheckMessage]:
    known = list(site_metadata.LENGTHS)
    for key in settings.SITE_METADATA:
        if key in known:
            continue
        close = difflib.get_close_matches(str(key).lower(), known, n=1)
        yield Error(
            f'RECIPROCAL_OAUTH["SITE_METADATA"] has the key {key!r}, which is not known.',
            hint=f'Did you mean "{close[0]}"?' if close else f"The keys are: {', '.join(known)}.",
            id=Id.SITE_METADATA,
        )


def _wrong_values() -> Iterator[CheckMessage]:
    for key, problem in site_metadata.problems():
        yield Error(
            f'RECIPROCAL_OAUTH["SITE_METADATA"]["{key}"] {problem}. It is not sent to other sites.',
            hint="Correct it, or remove it.",
            id=Id.SITE_METADATA,
        )
