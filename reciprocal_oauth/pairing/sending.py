"""A site registers at the other site (RFC 7591, section 3), and stores the response.

Site 2 registers with the code of the invitation. After that, site 1 registers with the token that
came with the registration of site 2. It must not do so while it still answers site 2: site 2 may
have one worker only, which waits for the response.
"""

import json
import logging
import re
import secrets
from collections.abc import Callable
from datetime import timedelta

from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..client import registration
from ..client.discovery import discover
from ..client.registration import Registration
from ..conf import settings
from ..core import scopes
from ..core.database import atomic, require_no_transaction, tried_again
from ..core.plain_text import plain
from ..core.retry_policy import RetryPolicy
from ..exceptions import AddressRefused, PairingError, PeerError, PeerRefused
from ..keys import key_set, site_keys
from ..models import Pairing, Peer
from ..peers import discovery
from ..peers.foreign_registration import give_back
from ..secret import Secret
from . import accepting, completion, inviting, messages

logger = logging.getLogger("reciprocal_oauth.pairing")

State = Pairing.State
_NOT_OVER = (*Pairing.UNDER_WAY, State.COMPLETE)
#: The pauses, in seconds, between the attempts. After the last one, an attempt is made every ten
#: minutes until the pairing expires.
PAUSES = (2, 5, 15, 60, 300, 600)
#: How long, in seconds, a row is reserved for the process that sends its registration.
LEASE_SECONDS = 90


@sensitive_variables()
def send(pairing: Pairing) -> None:
    """Register this site at the other site, if that is what the pairing waits for, and store the
    result. Do nothing if another process is doing it.

    The pairing is changed in the database; ``pairing`` is read again. An error of the other site is
    stored in ``last_error``, and the registration is sent again later if that can help.

    :raises TransactionManagementError: the caller has a transaction open.
    """
    require_no_transaction("A registration cannot be sent")
    claimed = claim(pairing, Q(state__in=Pairing.TO_SEND, expires_at__gt=timezone.now()))
    if claimed is not None:
        try:
            if claimed.role == Pairing.Role.INVITER:
                _send_as_inviter(claimed)
            else:
                _send_as_accepter(claimed)
        except PairingError as error:
            _fail(claimed, str(error))
        except AddressRefused as error:
            _fail(claimed, str(error))
        except PeerError as error:
            _after(claimed, error)
    pairing.refresh_from_db()


@tried_again
def claim(pairing: Pairing, condition: Q) -> Pairing | None:
    """Reserve the row of ``pairing`` for this process, and return it as it is now stored; ``None``
    if it does not meet ``condition`` or another process has reserved it."""
    owner = secrets.token_hex(16)
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    changed = Pairing.objects.filter(condition, free, pk=pairing.pk).update(
        lease_owner=owner,
        lease_until=Now() + timedelta(seconds=LEASE_SECONDS),
        attempts=F("attempts") + 1,
    )
    return Pairing.objects.get(pk=pairing.pk) if changed else None


@sensitive_variables()
def _send_as_accepter(claimed: Pairing) -> None:
    """Site 2: register with the code of the invitation.

    :raises PairingError: the response cannot be used.
    :raises PeerError: the request failed or was refused.
    """
    # Look up the endpoint again. The row does not store it, so that nobody who can change the row
    # can have the code sent elsewhere.
    metadata = discover(claimed.issuer)
    inviting.require_partner(metadata)
    response = registration.register(
        metadata.reciprocal_registration_endpoint, claimed.body, claimed.code
    )
    values = _usable_values(response, claimed)

    def store(row: Pairing) -> None:
        row.state = State.REGISTERED
        row.code = Secret("")
        row.next_attempt_at = row.expires_at
        row.name = plain(response.metadata.get("reciprocal_client_name")) or row.name

    _store(claimed, values, store)


@sensitive_variables()
def _send_as_inviter(claimed: Pairing) -> None:
    """Site 1: register in the other direction.

    :raises PairingError: the other site cannot pair, or the response cannot be used.
    :raises PeerError: the request failed or was refused.
    """
    metadata = discover(claimed.issuer)
    inviting.require_partner(metadata)
    claimed = _with_body(claimed, accepting.auth_method_for(metadata), metadata.auth_signing_algs)
    response = registration.register(
        metadata.reciprocal_registration_endpoint, claimed.body, claimed.reverse_token
    )
    values = _usable_values(response, claimed)
    values |= {
        "metadata": discovery.values_of(metadata),
        "scope_words": metadata.scope_descriptions,
    }

    def complete(row: Pairing) -> None:
        completion.complete(row)

    try:
        _store(claimed, values, complete)
    except PairingError as error:
        # The other site is complete. An administrator of this site can remove the cause, such as a
        # short name that was taken meanwhile. Then the same request gets the same response.
        logger.error("%s cannot be completed: %s", claimed, error)
        postpone(claimed, PeerError(str(error)))


@sensitive_variables()
@tried_again
def _with_body(claimed: Pairing, auth_method: str, algorithms: tuple[str, ...]) -> Pairing:
    """Return ``claimed`` with the request body, which is stored before it is first sent."""
    if claimed.body:
        return claimed
    if auth_method == Peer.AuthMethod.PRIVATE_KEY_JWT:
        site_keys.signing_key(algorithms)
    with atomic():
        row = _locked(claimed)
        row.auth_method = auth_method
        row.our_thumbprints = row.our_thumbprints or key_set.thumbprints()
        row.body = Secret(json.dumps(accepting.our_members(row)))
        row.save()
    return row


@sensitive_variables()
def _usable_values(response: Registration, claimed: Pairing) -> dict[str, object]:
    """Return the values of a response to store. If they cannot be stored, end the registration of
    this site at the other site, which may have completed the pairing.

    :raises PairingError: the response cannot be used, or the pairing is over meanwhile, for example
        withdrawn.
    """
    try:
        values = _values_in(response, claimed)
        # Only if it is over: another process can have stored the same response.
        if Pairing.objects.get(pk=claimed.pk).state not in _NOT_OVER:
            raise _changed()
    except PairingError:
        give_back(response)
        raise
    return values


@sensitive_variables()
def _values_in(response: Registration, claimed: Pairing) -> dict[str, object]:
    """Return the values of a response to store.

    :raises PairingError: the other site registered something else than this site asked for.
    """
    method = response.metadata.get("token_endpoint_auth_method")
    if method != claimed.auth_method:
        # Otherwise somebody could make both sites use a secret, although both can use keys.
        raise PairingError(
            _("The other site changed how this site authenticates there, to %(method)s.")
            % {"method": method if _is_method(method) else "–"}
        )
    uses_secret = method != Peer.AuthMethod.PRIVATE_KEY_JWT
    if uses_secret and response.client_secret is None:
        raise PairingError(_("The other site issued no client secret."))
    if not response.is_managed:
        raise PairingError(_("The other site issued no token for this registration (RFC 7592)."))
    return {
        "our_client_id": response.client_id,
        "our_client_secret": response.client_secret if uses_secret else Secret(""),
        "our_token": response.registration_access_token,
        "our_management_uri": response.registration_client_uri,
        "thumbprints": messages.thumbprints_in(response.metadata),
        **_offered_scope(response, claimed),
    }


def _offered_scope(response: Registration, claimed: Pairing) -> dict[str, str]:
    """Return what this site may hold at the other site, as the field to store. If that is too long
    for the field, return only what this site asks for."""
    allowed = scopes.parse(response.metadata.get("reciprocal_allowed_scope") or "")
    if allowed is None:
        return {}
    scope = scopes.join(allowed)
    is_short = len(scope) <= (Pairing._meta.get_field("offered_scope").max_length or 0)
    return {"offered_scope": scope if is_short else scopes.cut(claimed.asked_scope, allowed)}


def _is_method(value: object) -> bool:
    """Return whether ``value`` has the form of an authentication method. Another value may be a
    secret that the other site sends back, and is not shown."""
    return isinstance(value, str) and bool(re.fullmatch(r"[a-z_]{1,30}", value))


@sensitive_variables()
@tried_again
def _store(claimed: Pairing, values: dict[str, object], change: Callable[[Pairing], None]) -> None:
    """Store the response in the row, if the row is still the one for which it was sent.

    :raises PairingError: the pairing cannot be completed. Nothing is stored.
    """
    with atomic():
        row = _locked(claimed)
        for name, value in values.items():
            setattr(row, name, value)
        row.attempts, row.last_error = 0, ""
        change(row)
        row.lease_until = None
        row.save()


def _locked(claimed: Pairing) -> Pairing:
    """Return the row of ``claimed``, locked.

    :raises PairingError: the row was changed meanwhile, for example withdrawn.
    """
    row = Pairing.objects.select_for_update().get(pk=claimed.pk)
    if row.state != claimed.state or row.lease_owner != claimed.lease_owner:
        raise _changed()
    return row


def _changed() -> PairingError:
    return PairingError(_("The pairing was changed meanwhile."))


def _after(claimed: Pairing, error: PeerError) -> None:
    """Decide what follows an error of the other site: another attempt, or the end."""
    if isinstance(error, PeerRefused) and not _may_pass(error):
        if error.status in (401, 403):
            _refused(claimed)
        else:
            text = getattr(error, "description", "") or str(error)
            _fail(claimed, _("The other site refused: %(error)s.") % {"error": text})
        return
    postpone(claimed, error)


def _may_pass(error: PeerRefused) -> bool:
    """Return whether the registration can be sent again. Status 401 or 403 is final only if it
    comes from the registration endpoint, and not for example from a proxy before it."""
    is_elsewhere = error.is_foreign and error.status in (401, 403)
    return error.may_pass or is_elsewhere or error.status in (404, 405)


def _refused(claimed: Pairing) -> None:
    """The other site does not accept the token of this site."""
    if claimed.role == Pairing.Role.ACCEPTER:
        _fail(claimed, _("The invitation is not, or no longer, good. Ask for a new one."))
    elif claimed.is_bound:
        _reopen(claimed)
    else:
        _fail(
            claimed,
            _(
                "The site %(issuer)s did not ask for this pairing. Somebody else used the "
                "invitation, or it was withdrawn there."
            )
            % {"issuer": claimed.issuer},
        )


@tried_again
def postpone(claimed: Pairing, error: PeerError) -> None:
    """Let the attempt be made again later, but not after the pairing has expired."""
    asked = error.retry_after if isinstance(error, PeerRefused) else None
    policy = RetryPolicy((0, *PAUSES))
    pause = policy.pause_after(claimed.attempts, asked) or max(PAUSES[-1], asked or 0)
    at = timezone.now() + timedelta(seconds=pause)
    Pairing.objects.filter(pk=claimed.pk, lease_owner=claimed.lease_owner).update(
        next_attempt_at=min(at, claimed.expires_at),
        lease_until=None,
        last_error=str(error)[:500],
    )
    logger.info("%s: %s; trying again in %.0f s", claimed, error, pause)


@tried_again
def _fail(claimed: Pairing, error: str) -> None:
    with atomic():
        row = Pairing.objects.select_for_update().get(pk=claimed.pk)
        if row.state == claimed.state and row.lease_owner == claimed.lease_owner:
            inviting.close(row, State.FAILED, error)
            logger.warning("%s has failed: %s", row, error)


@tried_again
def _reopen(claimed: Pairing) -> None:
    """Site 1: who used the invitation was not the invited site, because the invited site does not
    know the token. So the invitation is open again for the invited site."""
    with atomic():
        row = Pairing.objects.select_for_update().get(pk=claimed.pk)
        if row.state != claimed.state or row.lease_owner != claimed.lease_owner:
            return
        row.claims += 1
        logger.warning("%s: the invited site did not confirm this registration", row)
        if row.claims >= settings.PAIRING_ATTEMPTS:
            text = _(
                "The invited site did not confirm %(count)s registrations: they were withdrawn "
                "there, or somebody else used the invitation."
            ) % {"count": row.claims}
            inviting.close(row, State.FAILED, text)
            return
        blank = Pairing()
        for name in _CLAIMED:
            setattr(row, name, getattr(blank, name))
        row.state, row.lease_until, row.next_attempt_at = State.OPEN, None, row.expires_at
        row.last_error = _(
            "The invited site did not confirm this registration: it was withdrawn there, or "
            "somebody else used the invitation."
        )
        row.save()


#: What a site that used an invitation has sent, and what it got for it.
_CLAIMED = (
    "answer",
    "attempts",
    "auth_method",
    "body",
    "body_digest",
    "display",
    "homepage",
    "issued_client_id",
    "issued_client_secret",
    "issued_token_hash",
    "issuer",
    "its_auth_method",
    "jwks_uri",
    "name",
    "offered_scope",
    "redirect_uris",
    "reverse_token",
    "thumbprints",
    "wanted_scope",
)
