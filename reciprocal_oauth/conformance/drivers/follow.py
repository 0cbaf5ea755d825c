"""The driver ``follow``: opens a URL for each journey. It is for subjects with URLs that do on
their own what a person does there, for tests. It needs the standard library only.

::

    [driver]
    kind = "follow"

    [driver.urls]
    authorize = "{url}&user={user}"
    use = "http://127.0.0.1:8001/unattended/use?user={user}"
    end = "http://127.0.0.1:8001/unattended/end?user={user}"

For a party A::

    [driver.urls]
    link = "http://127.0.0.1:8002/unattended/link?user={user}&decision={decision}&scopes={scopes}"
    update = "http://127.0.0.1:8002/unattended/update?user={user}&scopes={scopes}"
    end = "http://127.0.0.1:8002/unattended/end?user={user}"
    forge = "http://127.0.0.1:8002/unattended/forge?user={user}&how={how}&other_user={other_user}"

Values are percent-encoded, except ``{url}`` at the beginning. ``{scopes}`` are scopes with blanks
between them, or empty: all that the page offers. Redirects are followed, up to 20. Each user has
cookies, which stay over journeys. ``open`` needs no template.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import UsageError
from ..tables import only_known, table_of
from .journeys import Journey, Outcome, Unsupported, arrived
from .placeholders import has, put_in_url, url_templates
from .web import SECONDS, Web

PLACEHOLDERS: Final = ("url", "user", "decision", "scopes", "how", "other_user")


def from_table(table: Mapping[str, Any], role: str, patience: float) -> "FollowDriver":
    """Make the driver of the table ``[driver]``.

    :param patience: a factor for the time that a request may take.
    :raises UsageError: the table is wrong.
    """
    only_known("driver", table, ("kind", "urls"))
    urls = table_of("driver.urls", table.get("urls", {}))
    templates = url_templates("driver.urls", urls, role, PLACEHOLDERS)
    if not templates:
        raise UsageError("driver.urls is missing: a table with a URL for each journey.")
    if role == "a":
        templates.setdefault("open", "{url}")
    return FollowDriver(templates, SECONDS * patience)


class FollowDriver:
    """Opens URLs."""

    def __init__(self, templates: Mapping[str, str], seconds: float) -> None:
        """:param templates: a URL for each journey.
        :param seconds: a request may take this long.
        """
        self._templates = templates
        self._seconds = seconds
        self._browsers: dict[str, Web] = {}

    def supports(self, name: str) -> bool:
        return name in self._templates

    def go(self, journey: Journey, is_over: Callable[[], bool]) -> Outcome:
        """Open the URL of a journey.

        :raises JourneyFailed: there is no page, or it is an error page.
        :raises Unsupported: the journey has no URL, or the URL cannot say what it is about.
        """
        if not self.supports(journey.name):
            raise Unsupported(f"driver.urls.{journey.name} is missing.")
        template = self._templates[journey.name]
        if journey.scopes == () and has(template, "scopes"):
            raise Unsupported("An empty {scopes} means all scopes, so a URL cannot say none.")
        page = self._browser(journey).open(put_in_url(template, _values(journey)))
        return arrived(journey, page.outcome(), str(page))

    def close(self) -> None:
        self._browsers.clear()

    def _browser(self, journey: Journey) -> Web:
        return self._browsers.setdefault(journey.user, Web(self._seconds))


def _values(journey: Journey) -> dict[str, str]:
    return {
        "url": journey.url,
        "user": journey.user,
        "decision": journey.decision,
        "scopes": " ".join(journey.scopes or ()),
        "how": journey.how,
        "other_user": journey.other_user,
    }
