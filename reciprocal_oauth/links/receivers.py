"""Receivers of signals. A signal is sent when a token of django-oauth-toolkit (DOT) is deleted or
revoked, when a direction of a link stops working, and when both directions of a link work."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from ..core import telemetry
from ..core.database import log_exception
from ..models import Link, Peer
from . import lifecycle, lost_access, superseded

logger = logging.getLogger("reciprocal_oauth")


def log_failures(receiver: Callable[..., None]) -> Callable[..., None]:
    """Decorate ``receiver`` so that its exceptions are logged and not raised. The code of DOT or of
    the site that sent the signal must not fail because of this app."""

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
    """End ``link`` if its outgoing direction has stopped working and a newer link of the same user
    has replaced it."""
    if direction == lifecycle.OUTGOING:
        superseded.end_link_if_superseded(link)


@log_failures
def on_linked_both_ways(sender: type, link: Link, **arguments: Any) -> None:
    """End the older links of the same user that ``link`` has replaced."""
    superseded.end_superseded_links(link)


@log_failures
def on_token_deleted(sender: type, instance: Any, **arguments: Any) -> None:
    """Check, after the commit that deletes a DOT token, whether the peer that had this token has
    lost its access to this site."""
    lost_access.note_lost_token(instance)


@log_failures
def on_refresh_token_saved(sender: type, instance: Any, raw: bool, **arguments: Any) -> None:
    """If a DOT refresh token was revoked, check after the commit whether the peer that had this
    token has lost its access to this site. DOT does not delete a revoked refresh token. It saves
    the row with the time in ``revoked``."""
    if instance.revoked is not None and not raw:
        lost_access.note_lost_token(instance)


def count_linked(sender: type, link: Link, **arguments: Any) -> None:
    """Count that a link works in both directions."""
    _count(link.peer, "linked")


def count_failed_connection(sender: type, peer: Peer, problem: str, **arguments: Any) -> None:
    """Count that a user came back from a peer, or did not, and no link was made."""
    _count(peer, "failed", problem)


def count_ended(sender: type, link: Link, reason: str, **arguments: Any) -> None:
    """Count that a link has ended."""
    _count(link.peer, "ended", reason)


def _count(peer: Peer, result: str, reason: str = "") -> None:
    telemetry.count(telemetry.Count.CONNECTIONS, peer=peer.slug, result=result, reason=reason)
