"""Finds secrets of this site that its keys (the setting ``ENCRYPTION_KEYS``) cannot decrypt.
Without them, it can neither authenticate at peers nor sign."""

from collections.abc import Iterator

from django.views.decorators.debug import sensitive_variables

from ..exceptions import DecryptionError
from ..models import Peer, SiteKey
from ..secret import Secret


def unreadable_secrets() -> Iterator[str]:
    """Yield ``peer SLUG`` for each enabled peer whose client secret cannot be decrypted, and
    ``key KID`` for each such key of this site."""
    for peer in Peer.objects.filter(enabled=True).order_by("slug"):
        if not _is_readable(peer.client_secret):
            yield f"peer {peer.slug}"
    for key in SiteKey.objects.order_by("pk"):
        if not _is_readable(key.private_jwk):
            yield f"key {key.kid}"


@sensitive_variables()
def _is_readable(secret: Secret | None) -> bool:
    try:
        if secret:
            secret.reveal()
    except DecryptionError:
        return False
    return True
