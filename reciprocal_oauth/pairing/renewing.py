"""A new client secret for this site at the other site, and the end of a pairing (RFC 7592, sections
2.2 and 2.3).

Both are stored as a task before anything is sent. So if a response is lost or the process is
killed, the next attempt, by :mod:`.due`, does it again. An update can be repeated: the registration
access token is good until the other site has seen the one that replaces it.
"""

import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..client import registration
from ..client.discovery import discover
from ..client.registration import Registration
from ..core.database import atomic, on_commit, require_no_transaction, tried_again
from ..delivery import dispatchers
from ..exceptions import DecryptionError, PairingError, PeerError, PeerRefused
from ..keys import site_keys
from ..links import lifecycle
from ..models import Link, Pairing, Peer, Reason
from ..party_a import resending
from ..peers import registration_access
from ..secret import Secret
from . import accepting, inviting, sending

logger = logging.getLogger("reciprocal_oauth.pairing")

State, Task = Pairing.State, Pairing.Task
_KEY = Peer.AuthMethod.PRIVATE_KEY_JWT
#: How long a task is tried again.
KEEP_TRYING = timedelta(days=3)
#: How many links one step reads, and after how many seconds an attempt ends no further links. The
#: lease of a pairing is three times as long.
_LINKS_AT_ONCE = 200
_SECONDS_FOR_LINKS = 30.0
#: The responses to a request to delete a registration that does not exist any more.
_GONE_STATUS = (401, 404, 410)


def rotate(pairing: Pairing) -> None:
    """Get a new client secret for this site at the other site. The other site refuses the old one
    at once. Afterwards, the connection is tested.

    If the other site cannot be reached now, the task stays (``pairing.task``), and is tried again
    for three days.

    :raises PairingError: there is no secret that the other site could replace, or the other site
        did not replace it.
    :raises TransactionManagementError: the caller has a transaction open.
    """
    require_no_transaction("A new secret cannot be fetched")
    if pairing.auth_method == _KEY:
        raise PairingError(
            _(
                "This site signs with its key there, so there is no secret to replace. Replace "
                "the key with “reciprocal_keys rotate”."
            )
        )
    _begin_update(pairing)
    _attempt_now(pairing)


def use_key(pairing: Pairing) -> None:
    """Let this site authenticate at the other site with its key in place of a secret. The other
    site then refuses the secret at once.

    :raises PairingError: the other site cannot check signatures, or did not change the method.
    :raises PeerError: the metadata of the other site cannot be read.
    :raises TransactionManagementError: the caller has a transaction open.
    """
    require_no_transaction("The authentication cannot be changed")
    if pairing.auth_method == _KEY:
        raise PairingError(_("This site signs with its key there already."))
    metadata = discover(pairing.issuer)
    if accepting.auth_method_for(metadata) != _KEY:
        raise PairingError(_("The other site cannot check signatures of this site."))
    key = site_keys.signing_key(metadata.auth_signing_algs)
    _begin_update(pairing, auth_method=_KEY, algorithm=key.alg)
    _attempt_now(pairing)


def _attempt_now(pairing: Pairing) -> None:
    attempt(pairing)
    pairing.refresh_from_db()
    if pairing.task == Task.NONE and pairing.last_error:
        raise PairingError(pairing.last_error)


@tried_again
def _begin_update(pairing: Pairing, auth_method: str = "", algorithm: str = "") -> None:
    """Store that this site has to change its registration.

    :raises PairingError: it cannot change it.
    """
    with atomic():
        row, peer = _lock(pairing)
        if not (row.our_token and row.our_management_uri):
            raise PairingError(
                _("The other site issued no token for this registration (RFC 7592).")
            )
        if peer.client_id != row.our_client_id:
            raise PairingError(
                _(
                    "The client ID of this site at %(name)s was changed by hand, so it is not the "
                    "one of this pairing."
                )
                % {"name": peer}
            )
        if auth_method:
            row.auth_method = auth_method
            # Not used before the method is stored in the peer.
            Peer.objects.filter(pk=peer.pk).update(assertion_algorithm=algorithm)
        if row.task != Task.ROTATE:
            row.task, row.lease_until, row.lease_owner = Task.ROTATE, None, ""
        _make_due(row)
        row.save()


@tried_again
def end(pairing: Pairing) -> None:
    """End the pairing: disable the peer, end its links, and tell the other site, which disables
    this site in turn. If it cannot be reached, this is tried again for three days. Nothing is
    deleted.

    If there are very many links, some of them end later: see ``pairing.task``.

    :raises PairingError: the pairing is not complete.
    :raises TransactionManagementError: the caller has a transaction open.
    """
    require_no_transaction("A pairing cannot be ended")
    with atomic():
        row, peer = _lock(pairing)
        Peer.objects.filter(pk=peer.pk).update(enabled=False)
        begin_end(row)
    attempt(pairing)
    pairing.refresh_from_db()


def begin_end(row: Pairing) -> None:
    """Store that a complete pairing ends, because this site wants it. The caller has locked the
    row. :func:`attempt` then ends the links and tells the other site."""
    token = row.our_token
    inviting.close(row, State.ENDED)
    row.our_token, row.task = token, Task.END
    _make_due(row)
    row.save()
    logger.warning("%s is ended", row, extra={"action": "pairing_ended"})


def count_links(pairing: Pairing) -> int:
    """Return how many links end with the pairing."""
    return _active_links(pairing).count()


def _active_links(pairing: Pairing) -> Any:
    return Link.objects.filter(peer=pairing.peer_id, status=Link.Status.ACTIVE)


def _lock(pairing: Pairing) -> tuple[Pairing, Peer]:
    """Return the pairing and its peer, both locked.

    :raises PairingError: the pairing is not complete, or its peer was deleted.
    """
    row = Pairing.objects.select_for_update().get(pk=pairing.pk)
    peer = Peer.objects.select_for_update().filter(pairing=row).first()
    if row.state != State.COMPLETE or peer is None:
        raise PairingError(
            _("This pairing is not complete: %(state)s.") % {"state": row.get_state_display()}
        )
    return row, peer


def _make_due(row: Pairing) -> None:
    now = timezone.now()
    row.attempts, row.last_error = 0, ""
    row.next_attempt_at, row.expires_at = now, now + KEEP_TRYING


@sensitive_variables()
def attempt(pairing: Pairing) -> None:
    """Do the task of the pairing, if it is one of this module and no other process does it. An
    error is stored in ``last_error``, and the task is tried again later if that can help."""
    claimed = sending.claim(pairing, Q(task__in=(Task.ROTATE, Task.END)))
    if claimed is None:
        return
    try:
        if claimed.task == Task.ROTATE:
            _update(claimed)
        else:
            _end(claimed)
    except PairingError as error:
        _give_up(claimed, str(error))
    except DecryptionError:
        _give_up(claimed, _("The stored token cannot be read with the keys of this site."))
    except PeerError as error:
        if claimed.expires_at > timezone.now() and _may_help(error):
            sending.postpone(claimed, error)
        else:
            _give_up(claimed, _text_of(error))


def _may_help(error: PeerError) -> bool:
    """Return whether it can help to send the request again."""
    return error.may_pass if isinstance(error, PeerRefused) else True


def _text_of(error: PeerError) -> str:
    if isinstance(error, PeerRefused) and error.status == 401:
        return _(
            "The other site does not know this registration any more: the pairing was ended "
            "there. Pair again."
        )
    text = getattr(error, "description", "") or str(error)
    return _("The other site refused: %(error)s.") % {"error": text.rstrip(".")}


@sensitive_variables()
def _update(claimed: Pairing) -> None:
    """Change the registration of this site at the other site.

    :raises PairingError: the other site did not do what this site wants.
    :raises PeerError: the request failed or was refused.
    """
    is_foreign = claimed.role == Pairing.Role.REGISTRANT
    members: Mapping[str, Any]
    if is_foreign:
        # It can have registered other values than this site asked for, and expects those.
        members = registration_access.read(claimed).metadata
    else:
        members = accepting.our_members(claimed)
    sent = {**members, "client_id": claimed.our_client_id}
    if claimed.auth_method != _KEY:
        sent["reciprocal_new_secret"] = True
    uri, token = claimed.our_management_uri, claimed.our_token
    response = registration.update(uri, token, sent, is_foreign=is_foreign)
    if problem := _store(claimed, response):
        raise PairingError(problem)


@sensitive_variables()
@tried_again
def _store(claimed: Pairing, response: Registration) -> str:
    """Store the response in the pairing and in the peer. Return what is wrong with it, or ``""``.

    The registration access token is stored in any case, because the one before it ends. This site
    needs it to end a pairing, too.
    """
    with atomic():
        row = Pairing.objects.select_for_update().get(pk=claimed.pk)
        peer = Peer.objects.select_for_update().filter(pairing=row).first()
        is_same = row.task == Task.ROTATE and row.lease_owner == claimed.lease_owner
        if is_same or registration_access.is_of(row, claimed.our_token):
            registration_access.put_in(row, response)
        if not is_same or peer is None:
            # Another process does it, or the pairing was ended meanwhile.
            logger.info("%s: the response to an update came too late", row)
            row.save(update_fields=["our_management_uri", "our_token", "updated_at"])
            return ""
        if problem := _problem(claimed, response, peer):
            row.save()
            return problem
        peer.client_secret = response.client_secret or Secret("")
        peer.token_endpoint_auth_method = row.auth_method
        peer.save(update_fields=["client_secret", "token_endpoint_auth_method", "updated_at"])
        # The test also uses the new registration access token, which ends the one before it.
        now = timezone.now()
        row.task, row.attempts, row.last_error = Task.TEST, 0, ""
        row.next_attempt_at, row.expires_at, row.lease_until = now, now, None
        row.save()
        if peer.paused_reason in ("", Reason.CREDENTIALS_REFUSED):
            # Between the update and now, the other site has refused the old secret.
            on_commit(lambda: resending.resume(peer))
        on_commit(dispatchers.wake)
    logger.info("%s: the credentials of this site were replaced", row)
    return ""


@sensitive_variables()
def _problem(claimed: Pairing, response: Registration, peer: Peer) -> str:
    """Return why the response does not contain the credentials that this site wants, or ``""``."""
    if response.client_id != claimed.our_client_id:
        return _("The other site changed the client ID of this site.")
    if claimed.auth_method == _KEY:
        is_key = response.metadata.get("token_endpoint_auth_method") == _KEY
        return "" if is_key else _("The other site did not change the authentication.")
    secret = response.client_secret
    if secret is None or secret.reveal() == peer.client_secret.reveal():
        return _(
            "The other site issued no new secret: its software cannot do that in this way. Ask an "
            "administrator of the other site for one, and enter it at the peer."
        )
    return ""


@sensitive_variables()
def _end(claimed: Pairing) -> None:
    """End the links, and then tell the other site, if this site was the one that ended the pairing.

    :raises PeerError: the request failed or was refused.
    """
    if not _end_links(claimed):
        rows = Pairing.objects.filter(pk=claimed.pk, lease_owner=claimed.lease_owner)
        tried_again(rows.update)(attempts=0, lease_until=None, next_attempt_at=timezone.now())
        return
    if claimed.our_token and claimed.our_management_uri:
        try:
            registration.delete(claimed.our_management_uri, claimed.our_token)
        except PeerRefused as error:
            if error.status not in _GONE_STATUS:
                raise
    _finish(claimed, "" if _was_ended_here(claimed) else claimed.last_error)


def _was_ended_here(claimed: Pairing) -> bool:
    """Return whether this site was the one that ended the pairing. Otherwise, its token was deleted
    with the other secrets. A server that knows only RFC 7591 never ends a pairing."""
    if claimed.our_token or claimed.role == Pairing.Role.REGISTRANT:
        return True
    # A site that knows only RFC 7591 gave this site no token. When it ends a pairing, the row says
    # so.
    return not claimed.issuer and not claimed.last_error


def _end_links(claimed: Pairing) -> bool:
    """End the links, each in a transaction of its own. Return whether none is left.

    Our tokens are not revoked one by one: the other site does so itself when it is told.
    """
    reason = Reason.REVOKED_HERE if _was_ended_here(claimed) else Reason.REVOKED_BY_PEER
    begun = time.monotonic()
    while claimed.peer_id and (links := list(_active_links(claimed)[:_LINKS_AT_ONCE])):
        for link in links:
            if time.monotonic() - begun > _SECONDS_FOR_LINKS:
                return False
            try:
                lifecycle.end_link(link, reason, revoke_outgoing=False)
            except Link.DoesNotExist:
                continue
    return True


def _give_up(claimed: Pairing, error: str) -> None:
    logger.warning("%s: “%s” failed: %s", claimed, claimed.get_task_display(), error)
    _finish(claimed, error)


@tried_again
def _finish(claimed: Pairing, error: str) -> None:
    """Store that nothing is left to do."""
    with atomic():
        row = Pairing.objects.select_for_update().get(pk=claimed.pk)
        if row.task != claimed.task or row.lease_owner != claimed.lease_owner:
            return
        if row.task == Task.END:
            row.our_token = Secret("")
        elif peer := Peer.objects.filter(pairing=row).first():
            row.auth_method = peer.token_endpoint_auth_method
        row.task, row.last_error, row.lease_until = Task.NONE, error[:500], None
        row.next_attempt_at = row.expires_at = timezone.now()
        row.save()
