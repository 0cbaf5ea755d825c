"""Where the logo of a peer is at this site, and what is shown in place of one."""

from django.urls import NoReverseMatch, reverse

from ..models import Peer, PeerLogo


def logo_url(peer: Peer) -> str:
    """Return the path of the logo of ``peer`` at this site; ``""`` if this site has none, or does
    not include the pages of this app. The path changes with each new image."""
    if not peer.logo_uri or not peer.enabled:
        return ""
    logo = PeerLogo.objects.filter(pk=peer.pk).exclude(media_type="")
    at = logo.values_list("fetched_at", flat=True).first()
    if at is None:
        return ""
    try:
        path = reverse("reciprocal_oauth:logo", args=[peer.slug])
    except NoReverseMatch:
        return ""
    return f"{path}?v={at:%Y%m%d%H%M%S}"


def initial_of(peer: Peer) -> str:
    """Return the first letter of the name of ``peer``."""
    return str(peer)[:1].upper()
