"""Step (E), first half: minting the reciprocal code (draft, "Reciprocal Authorization Code").

The code becomes a DOT Grant, made directly: oauthlib's own way of making one would turn an empty
scope into all default scopes. The ledger keeps its hash for as long as a token of it can live, so
that a replay is noticed after DOT has forgotten the code.
"""

import secrets
from datetime import timedelta

from django.utils import timezone
from oauth2_provider.models import get_grant_model

from ..conf import settings
from ..core import scopes
from ..core.database import atomic, tried_again
from ..core.hashing import hash_of
from ..links import grant_policy, incoming_access, lifecycle
from ..models import Link, Peer, ReciprocalCode
from ..secret import Secret

#: Random bytes of a code: 256 bits, above the 160 of RFC 6749, section 10.10.
CODE_BYTES = 32


class LinkMoved(Exception):
    """The link is no longer at the generation that the code was wanted for."""


@tried_again
def mint(link: Link, generation: int) -> Secret:
    """A fresh code for ``generation`` of ``link``; every older one is dead from now on.

    One transaction, the link's row locked. The code lives ``CODE_LIFETIME_SECONDS``.

    :raises LinkMoved: the link has ended, has moved on, or has nothing to give; or its peer was
        switched off.
    :raises ForbiddenBySite: the site no longer allows it.
    """
    wanted = scopes.without_openid(link.incoming_limit)
    if wanted and not grant_policy.allows_link(link, wanted):
        raise grant_policy.ForbiddenBySite(
            f"The site does not allow what link {link.pk} is to give."
        )
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        locked.peer = Peer.objects.get(pk=locked.peer_id)
        # A link that a login at the peer opened may hold openid; no ID token can follow here.
        scope = scopes.without_openid(locked.incoming_limit)
        moved = (
            not locked.is_active
            or locked.generation != generation
            # Redeemed, or stopped by an administrator, since the worker looked.
            or locked.incoming_state != Link.Incoming.GRANTED
        )
        if moved or not locked.peer.enabled or not scope:
            raise LinkMoved(f"Link {link.pk} has moved on.")
        incoming_access.revoke_codes(locked)
        code = secrets.token_urlsafe(CODE_BYTES)
        expires = timezone.now() + timedelta(seconds=settings.CODE_LIFETIME_SECONDS)
        entry = ReciprocalCode.objects.create(
            code_hash=hash_of(code),
            link=locked,
            generation=generation,
            application_pk=str(locked.peer.application_id),
            expires_at=expires,
        )
        get_grant_model().objects.create(
            user_id=locked.user_id,
            application_id=locked.peer.application_id,
            code=code,
            expires=expires,
            redirect_uri=entry.redirect_uri,
            scope=scope,
        )
    return Secret(code)
