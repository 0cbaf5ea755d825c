"""Checks with requests to the peer whether the peer is set up correctly.

The requests carry our real credentials, and a code and an access token that the peer never issued.
The peer must refuse those. The error code shows what is wrong (RFC 6749, section 5.2): a token
endpoint authenticates the client before it validates the code (RFC 6749, section 4.1.3).

Not checked here: hand-overs to a peer with another dialect than ``ietf``, because a made-up
hand-over may not show whether that peer accepts real ones.
"""

import secrets
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from ..client import addresses, token_endpoint
from ..client.discovery import Metadata, discover
from ..core.peer_urls import is_endpoint
from ..core.protocol import (
    GRANT_TYPE,
    INVALID_CLIENT,
    INVALID_GRANT,
    UNAUTHORIZED_CLIENT,
    UNSUPPORTED_GRANT_TYPE,
)
from ..exceptions import DecryptionError, PeerError, PeerRefused, TLSFailed
from ..models import Peer

#: The dialect of the draft (draft-ietf-oauth-reciprocal-04, section 2.2.2).
_DRAFT = "ietf"
_DEFAULT_PORTS = {"https": 443, "http": 80}
_IN_METADATA = (
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
)


class Check(models.TextChoices):
    """What is checked, in this order. The values are for programs and do not change."""

    NAME = "name", _("The host name resolves")
    TLS = "tls", _("The connection is encrypted")
    METADATA = "metadata", _("The metadata agrees with the settings of the peer here")
    ENDPOINT = "token_endpoint", _("The token endpoint responds")
    CREDENTIALS = "credentials", _("The peer accepts our credentials")
    GRANT = "grant", _("The peer accepts reciprocal codes")


class State(models.TextChoices):
    """The result of a check. Unknown: the peer was not asked, or its response does not show it."""

    PASSED = "passed", _("passed")
    FAILED = "failed", _("failed")
    UNKNOWN = "unknown", _("not known")


#: The state of one check, and the reason for it.
Result = tuple[State, str]


@dataclass(frozen=True)
class Finding:
    """The result of one check, with the reason for people."""

    check: Check
    state: State
    reason: str

    def as_dict(self) -> dict[str, str]:
        """Return the finding for ``--json``; programs rely on ``check`` and ``state``."""
        return {"check": self.check.value, "state": self.state.value, "reason": self.reason}


def has_failed(findings: Sequence[Finding]) -> bool:
    """Whether one of the checks has failed."""
    return any(finding.state == State.FAILED for finding in findings)


@sensitive_variables()
def run(peer: Peer) -> list[Finding]:
    """Check the peer and return one finding for each :class:`Check`, in their order.

    Each request may take ``HTTP_TOTAL_TIMEOUT_SECONDS``. It changes nothing at the peer. Here it
    stores only whether the peer supports the reverse direction.
    """
    results: dict[Check, Result] = dict.fromkeys(
        Check, (State.UNKNOWN, gettext("Not checked, because another check failed."))
    )
    _run_checks(peer, results)
    return [Finding(check, *result) for check, result in results.items()]


@sensitive_variables()
def _run_checks(peer: Peer, results: MutableMapping[Check, Result]) -> None:
    """Put a result into ``results`` for each check that can be made."""
    try:
        parts = urlsplit(peer.token_endpoint)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        found = addresses.resolve(parts.hostname or "", port)
    except PeerError as error:
        results[Check.NAME] = State.FAILED, str(error)
        return
    results[Check.NAME] = State.PASSED, ", ".join(found)
    announced, results[Check.METADATA] = _metadata(peer)
    try:
        asked = _ask(peer, peer.token_endpoint, {"grant_type": "authorization_code"})
    except DecryptionError:
        reason = gettext("The stored secret cannot be read with the keys of this site.")
        results[Check.CREDENTIALS] = State.FAILED, reason
        return
    results[Check.TLS] = _tls(peer, asked)
    results[Check.ENDPOINT] = _endpoint(asked)
    if isinstance(asked, PeerRefused):
        results[Check.CREDENTIALS] = _credentials(asked)
        if results[Check.CREDENTIALS][0] != State.FAILED:
            results[Check.GRANT] = _grant(peer, announced=announced)


@sensitive_variables()
def _ask(peer: Peer, url: str, parameters: Mapping[str, str]) -> PeerError | None:
    """Send a code that the peer never issued; return the error, or ``None`` if it was accepted."""
    made_up = {"code": secrets.token_urlsafe(), "code_verifier": secrets.token_urlsafe(48)}
    try:
        response = token_endpoint.post(peer, url, {**made_up, **parameters})
    except PeerError as error:
        return error
    return None if response.is_success else token_endpoint.refusal(response)


def _tls(peer: Peer, asked: PeerError | None) -> Result:
    """RFC 6749, section 3.2: the token endpoint must use TLS."""
    if isinstance(asked, TLSFailed):
        return State.FAILED, str(asked)
    if asked is not None and not isinstance(asked, PeerRefused):
        return State.UNKNOWN, gettext("There was no connection.")
    if urlsplit(peer.token_endpoint).scheme != "https":
        return State.UNKNOWN, gettext("It is not encrypted. That is allowed only on this machine.")
    return State.PASSED, gettext("The certificate is valid.")


def _metadata(peer: Peer) -> tuple[bool, Result]:
    """Return whether the metadata lists the reciprocal grant, and the result of the check."""
    if not peer.issuer:
        reason = gettext("The peer has no issuer here, so its metadata cannot be read.")
        return False, (State.UNKNOWN, reason)
    try:
        metadata = discover(peer.issuer)
    except PeerError as error:
        return False, (State.FAILED, "; ".join(str(error).splitlines()))
    return metadata.takes_handovers, _compare(peer, metadata)


def _compare(peer: Peer, metadata: Metadata) -> Result:
    """Compare endpoints (RFC 8414, section 2) and the ``iss`` parameter (RFC 9207, section 2.4)."""
    # An endpoint that is empty here is not used, so it is no error if the metadata names one.
    differing = [
        str(peer._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
        for name in _IN_METADATA
        if (here := getattr(peer, name)) and not is_endpoint(here, getattr(metadata, name))
    ]
    if differing:
        text = gettext("The metadata and the peer here have different addresses for: %s.")
        return State.FAILED, text % ", ".join(differing)
    if peer.sends_iss and not metadata.sends_iss:
        return State.UNKNOWN, gettext(
            "Its metadata does not say that the peer names its issuer in its responses. This site "
            "refuses responses without an issuer."
        )
    reason = gettext("All addresses agree.")
    if metadata.sends_iss and not peer.sends_iss:
        reason += " " + gettext(
            "Its metadata says that the peer names its issuer in its responses. Switch on "
            "“%(field)s” here, so that responses without an issuer are refused."
        ) % {"field": peer._meta.get_field("sends_iss").verbose_name}
    return State.PASSED, reason


def _endpoint(asked: PeerError | None) -> Result:
    if asked is None:
        return State.FAILED, gettext(
            "It accepts a made-up code. Either it checks nothing, or it is not a token endpoint."
        )
    if not isinstance(asked, PeerRefused):
        return State.FAILED, str(asked)
    # RFC 6749, section 5.2: status 400 or 401, and an error code. Without an error code, it can be
    # any page. With 401, 403 or 429, it can be a gateway in front of a token endpoint.
    if asked.error and asked.status in (400, 401, 403, 429):
        return State.PASSED, gettext("It responds like a token endpoint: %s.") % asked
    if asked.status in (401, 403, 429):
        return _unknown(asked)
    return State.FAILED, gettext("It does not respond like a token endpoint: %s.") % asked


def _credentials(refused: PeerRefused) -> Result:
    """RFC 6749, section 5.2: ``invalid_client`` is about credentials, ``invalid_grant`` is not."""
    # First, whatever the status is: some servers refuse an unknown code with 401.
    if refused.error == INVALID_GRANT:
        return State.PASSED, gettext("It refused only the made-up code.")
    if refused.status == 401 or refused.error == INVALID_CLIENT:
        return State.FAILED, gettext(
            "It refuses our credentials. Compare client ID, client secret and method with the "
            "registration at the peer."
        )
    if refused.error in (UNAUTHORIZED_CLIENT, UNSUPPORTED_GRANT_TYPE):
        return State.FAILED, gettext("It does not allow this site to use authorization codes.")
    return _unknown(refused)


def _grant(peer: Peer, *, announced: bool) -> Result:
    """Send a made-up hand-over (draft-ietf-oauth-reciprocal-04, section 2.2.2).

    :param announced: the metadata lists the reciprocal grant.
    """
    if peer.dialect != _DRAFT:
        return State.UNKNOWN, gettext("This cannot be checked for the dialect of this peer.")
    made_up = {"client_id": peer.client_id, "access_token": secrets.token_urlsafe()}
    asked = _ask(peer, peer.handover_endpoint, {"grant_type": GRANT_TYPE, **made_up})
    if asked is None:
        return State.FAILED, gettext(
            "It accepts a made-up hand-over. Either it checks nothing, or it is another page."
        )
    if not isinstance(asked, PeerRefused):
        return State.FAILED, str(asked)
    if asked.error == UNSUPPORTED_GRANT_TYPE and asked.status < 500:
        peer.record_reverse_support(is_supported=False)
        return State.FAILED, gettext(
            "It does not support the reverse direction, because it does not know the reciprocal "
            "grant. Links with this peer work one way."
        )
    if asked.error == UNAUTHORIZED_CLIENT:
        return State.FAILED, gettext("It does not allow this site to use the reciprocal grant.")
    if asked.status == 401 or asked.error == INVALID_CLIENT:
        return State.FAILED, gettext("It refuses our credentials at the address for hand-overs.")
    if asked.status in (404, 405, 410):
        return State.FAILED, gettext("No hand-overs are accepted at this address: %s.") % asked
    if asked.status == 400 and (asked.error == INVALID_GRANT or (asked.error and announced)):
        peer.record_reverse_support(is_supported=True)
        return State.PASSED, gettext("It refused only the made-up values.")
    return _unknown(asked)


def _unknown(refused: PeerRefused) -> Result:
    return State.UNKNOWN, gettext("The response does not show it: %s.") % refused
