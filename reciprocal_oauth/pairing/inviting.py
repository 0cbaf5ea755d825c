"""Site 1: an administrator makes, confirms or withdraws an invitation."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..client.discovery import Metadata
from ..conf import settings
from ..core import scopes, site_address
from ..core.database import atomic, tried_again
from ..core.hashing import hash_of
from ..core.peer_urls import origin_of
from ..exceptions import PairingError
from ..models import Pairing, Peer
from ..models.peer_validation import check_scope, check_scope_here
from ..peers import discovery
from ..secret import Secret
from . import invitation

State = Pairing.State
#: The longest lifetime of an invitation, in seconds.
MAX_LIFETIME_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class Terms:
    """What an administrator of this site decides about a pairing.

    :ivar slug: the short name that the other site has or gets here.
    :ivar allowed_scope: what the other site may hold here.
    :ivar asked_scope: what this site asks for there.
    :ivar our_name: how this site calls itself; ``""`` for its host name.
    :ivar enable: whether people may connect as soon as the pairing is complete.
    :ivar renews: whether the peer ``slug`` exists already and gets new credentials.
    """

    slug: str
    allowed_scope: str = ""
    asked_scope: str = ""
    our_name: str = ""
    enable: bool = False
    renews: bool = False


def look_up(address: str) -> Metadata:
    """Return the metadata of the site with this address, if it can pair.

    :raises PairingError: it cannot pair.
    :raises PeerError: its metadata cannot be read; see :func:`.peers.discovery.find`.
    """
    metadata = discovery.find(address)
    require_partner(metadata)
    return metadata


def require_partner(metadata: Metadata) -> None:
    """Check that the site with this metadata can pair with this site.

    :raises PairingError: it cannot.
    """
    if metadata.issuer == invitation.own_issuer():
        raise PairingError(_("This is the address of this site itself."), field="issuer")
    endpoint = metadata.reciprocal_registration_endpoint
    if not endpoint:
        raise PairingError(
            _("%(issuer)s cannot pair. Add it as a peer by hand.") % {"issuer": metadata.issuer},
            field="issuer",
        )
    # A site that could name endpoints of other sites could make this site send them secrets.
    endpoints = (
        endpoint,
        metadata.authorization_endpoint,
        metadata.token_endpoint,
        metadata.revocation_endpoint,
        metadata.userinfo_endpoint,
    )
    if any(url and origin_of(url) != origin_of(metadata.issuer) for url in endpoints):
        raise PairingError(
            _(
                "The metadata of %(issuer)s names addresses at another site. Nothing was sent. Add "
                "it as a peer by hand if this is intended."
            )
            % {"issuer": metadata.issuer},
            field="issuer",
        )


@sensitive_variables()
@tried_again
def invite(
    terms: Terms,
    *,
    partner: Metadata | None = None,
    lifetime: timedelta | None = None,
    user: Any = None,
) -> tuple[Pairing, Secret]:
    """Make an invitation.

    :param partner: the metadata of the only site that may use it; ``None`` if whoever has the
        invitation may use it. Then an administrator must confirm the pairing.
    :param lifetime: by default ``PAIRING_LIFETIME_SECONDS``.
    :returns: the pairing, and the string to give to the other site. It is not stored.
    :raises PairingError: a value of ``terms`` is wrong, or this site cannot pair.
    """
    require_pairings()
    issuer = invitation.own_issuer()
    code = invitation.new_code()
    text = invitation.text_of(invitation.Invitation(issuer, code))
    with atomic():
        check_terms(terms, partner.issuer if partner else "")
        pairing = Pairing(
            role=Pairing.Role.INVITER,
            expected_issuer=partner.issuer if partner else "",
            code_hash=hash_of(code.reveal()),
            created_by=user,
            expires_at=timezone.now() + _lifetime(lifetime),
            **values_of(terms),
        )
        pairing.next_attempt_at = pairing.expires_at
        pairing.save()
    return pairing, text


def require_pairings() -> None:
    """Check that this site pairs.

    :raises PairingError: the setting ``ACCEPT_PAIRINGS`` is off.
    """
    if not settings.ACCEPT_PAIRINGS:
        raise PairingError(
            _("This site does not pair: RECIPROCAL_OAUTH['ACCEPT_PAIRINGS'] is off.")
        )


def _lifetime(asked: timedelta | None) -> timedelta:
    lifetime = asked or timedelta(seconds=settings.PAIRING_LIFETIME_SECONDS)
    if not timedelta(0) < lifetime <= timedelta(seconds=MAX_LIFETIME_SECONDS):
        raise PairingError(_("An invitation is valid for at most 7 days."), field="lifetime")
    return lifetime


def values_of(terms: Terms) -> dict[str, Any]:
    """Return the fields of a pairing that ``terms`` decide."""
    values = dict(vars(terms))
    values["our_name"] = terms.our_name or site_address.host_of(invitation.own_issuer())
    for name in ("allowed_scope", "asked_scope"):
        values[name] = scopes.join(scopes.split(values[name]))
    return values


def check_terms(terms: Terms, issuer: str) -> None:
    """Check what an administrator has decided. Call it in a transaction.

    :param issuer: the issuer of the other site; ``""`` if it is not known yet.
    :raises PairingError: a value is wrong. The error names it.
    """
    try:
        Pairing._meta.get_field("slug").clean(terms.slug, None)
    except ValidationError as error:
        raise PairingError(" ".join(error.messages), field="slug") from None
    _check_slug(terms, issuer)
    for name in ("allowed_scope", "asked_scope"):
        for problem in check_scope(getattr(terms, name)):
            raise PairingError(problem, field=name)
    for problem in check_scope_here(terms.allowed_scope):
        raise PairingError(problem, field="allowed_scope")
    if len(terms.our_name) > 200:
        raise PairingError(_("A name has at most 200 characters."), field="our_name")


def _check_slug(terms: Terms, issuer: str) -> None:
    if terms.slug == "handover":
        raise PairingError(
            _("“handover” is part of the addresses of this app. Choose another name."),
            field="slug",
        )
    if others := Pairing.objects.filter(slug=terms.slug, state__in=Pairing.UNDER_WAY).first():
        raise PairingError(
            _("A pairing with the short name “%(slug)s” is under way (%(state)s). Withdraw it.")
            % {"slug": terms.slug, "state": others.get_state_display()},
            field="slug",
        )
    peer = Peer.objects.filter(slug=terms.slug).first()
    if terms.renews:
        check_renewal(peer, issuer)
    elif peer is not None:
        raise PairingError(
            _(
                "There is already a peer with the short name “%(slug)s”: %(name)s. Choose another "
                "name, or renew this peer."
            )
            % {"slug": terms.slug, "name": peer},
            field="slug",
        )


def check_renewal(peer: Peer | None, issuer: str) -> None:
    """Check that ``peer`` can get new credentials by a pairing with the site ``issuer``.

    :raises PairingError: it cannot.
    """
    if peer is None:
        raise PairingError(_("There is no peer with this short name."), field="slug")
    if peer.dialect != "ietf":
        raise PairingError(
            _("%(name)s is a peer of a vendor, which cannot pair.") % {"name": peer}, field="slug"
        )
    if issuer and peer.issuer and peer.issuer != issuer:
        raise PairingError(
            _(
                "%(name)s has the issuer %(theirs)s, and the pairing is with %(issuer)s. To renew "
                "a peer, pair with the same site."
            )
            % {"name": peer, "theirs": peer.issuer, "issuer": issuer},
            field="slug",
        )


@tried_again
def confirm(pairing: Pairing, *, asked_scope: str | None = None, user: Any = None) -> None:
    """Confirm that the site that has registered here is the right one. This site can then register
    there; :func:`.sending.send` does so.

    :param asked_scope: what this site asks for there; ``None`` leaves what was decided before.
    :raises PairingError: the pairing does not wait for a confirmation, or has expired.
    """
    with atomic():
        row = Pairing.objects.select_for_update().get(pk=pairing.pk)
        if row.state != State.ACCEPTED:
            raise PairingError(
                _("This pairing does not wait for a confirmation: %(state)s.")
                % {"state": row.get_state_display()}
            )
        if row.expires_at <= timezone.now():
            raise PairingError(_("This pairing has expired. Make a new invitation."))
        if asked_scope is not None:
            for problem in check_scope(asked_scope):
                raise PairingError(problem, field="asked_scope")
            row.asked_scope = scopes.join(scopes.split(asked_scope))
        if row.renews:
            check_renewal(Peer.objects.filter(slug=row.slug).first(), row.issuer)
        row.state = State.CONFIRMED
        row.confirmed_by = user
        row.next_attempt_at = timezone.now()
        row.attempts = 0
        row.save()
    pairing.refresh_from_db()


@tried_again
def withdraw(pairing: Pairing) -> None:
    """Withdraw an invitation, or stop a pairing that is under way. Its secrets are deleted.

    :raises PairingError: the pairing is complete or over.
    """
    with atomic():
        row = Pairing.objects.select_for_update().get(pk=pairing.pk)
        if not row.is_under_way:
            raise PairingError(
                _("This pairing is not under way: %(state)s.") % {"state": row.get_state_display()}
            )
        close(row, State.WITHDRAWN)
    pairing.refresh_from_db()


def close(row: Pairing, state: str, error: str = "") -> None:
    """Give a locked pairing a final state, and delete its secrets."""
    row.state = state
    for name, value in Pairing.without_secrets().items():
        setattr(row, name, value)
    row.task, row.next_attempt_at, row.lease_until = Pairing.Task.NONE, None, None
    row.last_error = error[:500]
    row.save()
