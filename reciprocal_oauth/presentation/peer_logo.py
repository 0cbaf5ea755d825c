"""Where the logo of a peer is at this site, and what is shown in place of one."""

from typing import Any

from django.db.models import QuerySet
from django.urls import NoReverseMatch, reverse

from ..models import Peer, PeerLogo


def with_logos(rows: QuerySet[Any], to_peer: str = "") -> QuerySet[Any]:
    """Return ``rows`` with what :func:`logo_url` needs, so that a list of peers needs no query for
    each of them. The images themselves are not read.

    :param to_peer: the path from a row to its peer, such as ``peer__``; empty for peers.
    """
    return rows.select_related(f"{to_peer}logo").defer(f"{to_peer}logo__content")


def logo_url(peer: Peer) -> str:
    """Return the path of the logo of ``peer`` at this site; ``""`` if this site has none, or does
    not include the pages of this app. The path changes with each new image."""
    if not peer.logo_uri or not peer.enabled:
        return ""
    logo = _logo_of(peer)
    if logo is None or not logo.media_type:
        return ""
    try:
        path = reverse("reciprocal_oauth:logo", args=[peer.slug])
    except NoReverseMatch:
        return ""
    return f"{path}?v={logo.fetched_at:%Y%m%d%H%M%S%f}"


def _logo_of(peer: Peer) -> PeerLogo | None:
    if Peer._meta.get_field("logo").is_cached(peer):
        return getattr(peer, "logo", None)
    return PeerLogo.objects.filter(pk=peer.pk).defer("content").first()


def initial_of(peer: Peer) -> str:
    """Return the first letter of the name of ``peer``."""
    return str(peer)[:1].upper()
