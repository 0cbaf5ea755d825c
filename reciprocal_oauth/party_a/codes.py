"""Creates the reciprocal code that this site sends to the peer (draft-ietf-oauth-reciprocal-04,
section 2.2.2). This is the first half of step (E) of figure 1 in section 2 of the draft; the second
half is in :mod:`.send`.

Each code is stored in two rows:

- A ``Grant`` of django-oauth-toolkit (DOT) contains the code. This app creates the row directly,
  because there is no authorization request from which oauthlib and DOT could create it.
- A :class:`~reciprocal_oauth.models.ReciprocalCode` contains the hash of the code. DOT deletes the
  ``Grant`` when the code is redeemed. The hash is kept as long as a token that was issued for the
  code can be valid, so this app can detect that the code is sent a second time (RFC 6749, section
  4.1.2).
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

#: The number of random bytes in a code. RFC 6749, section 10.10, recommends 160 bits or more.
CODE_BYTES = 32


class LinkChanged(Exception):
    """No code may be sent to the peer, because the link or the peer has changed after the hand-over
    was added to the outbox."""


@tried_again
def mint(link: Link, generation: int) -> Secret:
    """Create a reciprocal code for ``link``, and revoke all older reciprocal codes of the link that
    are not redeemed. Do both in one transaction, in which the link is locked.

    The code represents the access that the user granted (draft-ietf-oauth-reciprocal-04, section
    2.2.2). It is valid for ``CODE_LIFETIME_SECONDS``; RFC 6749, section 4.1.2, recommends at most
    ten minutes.

    :param generation: the number of the user's decision for which the code is created, as stored in
        the outbox row. ``Link.generation`` counts these decisions.
    :raises LinkChanged: the user has decided again, the link has ended, the peer has already
        redeemed a code, the hand-over was cancelled, the scope is empty, or the peer is disabled.
    :raises ForbiddenBySite: the rules of this site do not allow the scope.
    """
    wanted = scopes.without_openid(link.incoming_limit)
    if wanted and not grant_policy.allows_link(link, wanted):
        raise grant_policy.ForbiddenBySite(f"The site does not allow the scope of link {link.pk}.")
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        locked.peer = Peer.objects.get(pk=locked.peer_id)
        # Remove ``openid``, because no ID token can be issued for a reciprocal code. ``openid`` is
        # in the scope of the link if the peer lets its users sign in with an account of this site.
        scope = scopes.without_openid(locked.incoming_limit)
        changed = (
            not locked.is_active
            or locked.generation != generation
            # The state was "granted" when the worker read the link. It changes when, for example,
            # the peer redeems a code, or an administrator cancels the hand-over.
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
