"""The action ``logo`` of the command ``reciprocal_peer``."""

from django.core.management.base import CommandError

from reciprocal_oauth.models import Peer
from reciprocal_oauth.peers import logos

from ._output import as_json


def fetch_logo(peer: Peer, *, as_document: bool) -> str:
    """Fetch the logo of ``peer`` now. Return what to print.

    :param as_document: whether to return a JSON document.

    :raises CommandError: the peer has no address of a logo, or the logo cannot be fetched.
    """
    if not peer.logo_uri:
        raise CommandError(f"Peer {peer.slug} has no logo. Set one with add --logo-uri.")
    logo = logos.fetch(peer)
    if logo is None:
        raise CommandError(f"The logo of peer {peer.slug} is being fetched already.")
    if logo.error:
        raise CommandError(f"The logo of peer {peer.slug} was not fetched: {logo.error}")
    size = len(bytes(logo.content))
    if as_document:
        return as_json({"slug": peer.slug, "media_type": logo.media_type, "bytes": size})
    return f"The logo of peer {peer.slug} was fetched: {logo.media_type}, {size} bytes."
