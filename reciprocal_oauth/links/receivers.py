"""Receivers of signals: a token of django-oauth-toolkit ends, a link breaks or works."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from ..core.database import log_exception
from ..models import Link
from . import lifecycle, lost_access, superseded

logger = logging.getLogger("reciprocal_oauth")


def log_failures(receiver: Callable[..., None]) -> Callable[..., None]:
    """A receiver that fails is logged. It runs in the middle of what DOT or the site does, which
    must not fail for it."""

    @wraps(receiver)
    def run(*args: Any, **arguments: Any) -> None:
        try:
            receiver(*args, **arguments)
        except Exception:
            log_exception(
                logger, "%s failed; the next reciprocal_prune looks again", receiver.__name__
            )

    return run


@log_failures
def on_direction_broken(sender: type, link: Link, direction: str, **arguments: Any) -> None:
    """A direction of a link no longer works. There may be a newer link that does."""
    if direction == lifecycle.OUTGOING:
        superseded.end_link_if_superseded(link)


@log_failures
def on_linked_both_ways(sender: type, link: Link, **arguments: Any) -> None:
    """Both directions of a link work. There may be an older one that does not."""
    superseded.end_superseded_links(link)


@log_failures
def on_token_deleted(sender: type, instance: Any, **arguments: Any) -> None:
    """A token of DOT's goes, of a peer or of another client: by a page of DOT's, the admin, a
    logout, ``cleartokens``, or with its user."""
    lost_access.note_lost_token(instance)


@log_failures
def on_refresh_token_saved(sender: type, instance: Any, raw: bool, **arguments: Any) -> None:
    """DOT's ``revoke()`` keeps the row of a refresh token, with the time."""
    if instance.revoked is not None and not raw:
        lost_access.note_lost_token(instance)
