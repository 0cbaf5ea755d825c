"""Rules of a site on who may let which peer in, for ``RECIPROCAL_OAUTH["MAY_AUTHORIZE"]``."""

from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest


@dataclass
class Rules:
    """:ivar refused: usernames of those who may let nobody in.
    :ivar forbidden: scopes that nobody may give.
    :ivar asked: who was asked about, with which scopes, and whether a person was there.
    """

    refused: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, list[str], bool]] = field(default_factory=list)


IN_FORCE = Rules()


def may_authorize(
    user: Any, application: Any, scopes: list[str], request: HttpRequest | None = None
) -> bool:
    assert request is None or request.user == user
    name = user.get_username()
    IN_FORCE.asked.append((name, application.client_id, scopes, request is not None))
    return name not in IN_FORCE.refused and IN_FORCE.forbidden.isdisjoint(scopes)
