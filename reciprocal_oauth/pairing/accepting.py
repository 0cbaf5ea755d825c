"""Site 2: an administrator pastes an invitation, sees whom it is from, and accepts."""

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..client.discovery import Metadata, discover
from ..conf import settings
from ..core import site_address, site_metadata
from ..core.database import atomic, tried_again
from ..core.hashing import hash_of
from ..exceptions import PairingError
from ..keys import key_set, site_keys
from ..models import Pairing, Peer
from ..peers import discovery
from ..secret import Secret
from . import inviting, messages
from .invitation import Invitation, own_issuer, require_own_addresses
from .invitation import read as read_invitation


@dataclass(frozen=True, repr=False)
class Offer:
    """An invitation, and what the metadata of the inviting site says. Nothing secret has been sent
    to make it.

    :ivar peer: the peer of this site that has the same issuer, if there is one. It can be renewed.
    """

    invitation: Invitation
    metadata: Metadata
    peer: Peer | None

    @property
    def auth_method(self) -> str:
        """Return how this site will authenticate at the inviting site: with its key if the inviting
        site can check signatures, otherwise with a secret."""
        return auth_method_for(self.metadata)


def auth_method_for(metadata: Metadata) -> str:
    """Return how this site authenticates at a site with this metadata."""
    key = Peer.AuthMethod.PRIVATE_KEY_JWT
    return str(key if key in metadata.auth_methods else Peer.AuthMethod.BASIC)


@sensitive_variables()
def look_up(text: str) -> Offer:
    """Read the invitation ``text``, and look up the site that made it. The code of the invitation
    is not sent.

    :raises PairingError: ``text`` is not an invitation, or the site cannot pair.
    :raises PeerError: the metadata of the site cannot be read.
    """
    inviting.require_pairings()
    require_own_addresses(own_issuer())
    invitation = read_invitation(text)
    metadata = discover(invitation.issuer)
    inviting.require_partner(metadata)
    peer = Peer.objects.filter(issuer=metadata.issuer).order_by("pk").first()
    return Offer(invitation, metadata, peer)


@sensitive_variables()
@tried_again
def accept(offer: Offer, terms: inviting.Terms, *, user: Any = None) -> Pairing:
    """Accept an invitation: store what this site will send, before it is sent. So the same request
    can be sent again if its response is lost. :func:`.sending.send` sends it.

    :raises PairingError: a value of ``terms`` is wrong.
    """
    if offer.auth_method == Peer.AuthMethod.PRIVATE_KEY_JWT:
        site_keys.signing_key(offer.metadata.auth_signing_algs)
    with atomic():
        inviting.check_terms(terms, offer.metadata.issuer)
        code_hash = hash_of(offer.invitation.code.reveal())
        if Pairing.objects.filter(code_hash=code_hash).exists():
            raise PairingError(
                _("This invitation was already accepted here. See the list of pairings."),
                field="invitation",
            )
        token = secrets.token_urlsafe(32)
        now = timezone.now()
        pairing = Pairing(
            role=Pairing.Role.ACCEPTER,
            state=Pairing.State.DRAFT,
            issuer=offer.metadata.issuer,
            code_hash=code_hash,
            code=offer.invitation.code,
            reverse_token_hash=hash_of(token),
            auth_method=offer.auth_method,
            our_thumbprints=key_set.thumbprints(),
            metadata=discovery.values_of(offer.metadata),
            scope_words=offer.metadata.scope_descriptions,
            created_by=user,
            confirmed_by=user,
            expires_at=now + timedelta(seconds=settings.PAIRING_LIFETIME_SECONDS),
            next_attempt_at=now,
            **inviting.values_of(terms),
        )
        body = our_members(pairing) | {"reciprocal_registration_token": token}
        pairing.body = Secret(json.dumps(body))
        pairing.save()
    return pairing


def our_members(pairing: Pairing) -> dict[str, Any]:
    """Return the members of the registration that this site sends for ``pairing``."""
    base = site_address.base_url()
    return messages.members(
        name=pairing.our_name,
        homepage=f"{base}/",
        redirect_uri=site_address.url_of("reciprocal_oauth:callback", pairing.slug, base=base),
        auth_method=pairing.auth_method,
        jwks_uri=site_address.url_of("oauth2_provider:reciprocal-jwks", base=base),
        scope=pairing.asked_scope,
        issuer=own_issuer(),
        allowed_scope=pairing.allowed_scope,
        thumbprints=pairing.our_thumbprints,
        about=site_metadata.values(own_issuer()),
    )
