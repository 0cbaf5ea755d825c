"""Step (E), first half: create the reciprocal code (draft-ietf-oauth-reciprocal-04, section 2.2.2).

The code is stored as a DOT ``Grant``. The ``Grant`` is created directly, because oauthlib would
replace an empty scope by the default scopes. A :class:`~reciprocal_oauth.models.ReciprocalCode`
keeps the hash of the code as long as a token from it can be valid, so that a replay is detected
after DOT has deleted the ``Grant`` (RFC 6749, section 4.1.2).
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

#: Random bytes of a code. RFC 6749, section 10.10, recommends 160 bits or more.
CODE_BYTES = 32


class LinkChanged(Exception):
    """The link has changed since the hand-over was queued, so no code may be sent."""


@tried_again
def mint(link: Link, generation: int) -> Secret:
    """Create a code for ``link`` and revoke all older unredeemed codes of the link.

    The code represents the access that the user granted (draft-ietf-oauth-reciprocal-04, section
    2.2.2). It is valid for ``CODE_LIFETIME_SECONDS``; RFC 6749, section 4.1.2, recommends at most
    ten minutes. All of this is one transaction, in which the link is locked.

    :param generation: the generation of the link for which the hand-over was queued.
    :raises LinkChanged: the link has ended, has a newer generation, is no longer to be handed over,
        or has an empty scope; or the peer is disabled.
    :raises ForbiddenBySite: the site no longer allows the scope.
    """
    wanted = scopes.without_openid(link.incoming_limit)
    if wanted and not grant_policy.allows_link(link, wanted):
        raise grant_policy.ForbiddenBySite(f"The site does not allow the scope of link {link.pk}.")
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        locked.peer = Peer.objects.get(pk=locked.peer_id)
        # The link may have the scope openid from a login of the user here. No ID token can be
        # issued for a reciprocal code.
        scope = scopes.without_openid(locked.incoming_limit)
        changed = (
            not locked.is_active
            or locked.generation != generation
            # Redeemed, or cancelled by an administrator, since the worker read the link.
            or locked.incoming_state != Link.Incoming.GRANTED
        )
        if changed or not locked.peer.enabled or not scope:
            raise LinkChanged(f"Link {link.pk} has changed.")
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
