"""Whether a peer is set up so that it can work, found out by asking it.

Everything that is sent is made up, except our credentials: a code and an access token that the peer
never issued, which it has to refuse. How it refuses them tells what it thinks of the rest
(RFC 6749, section 5.2): it authenticates the client before it looks at the code (section 4.1.3).

Not tested here: peers that speak another dialect than the draft's take hand-overs in ways that a
made-up one may not show.
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

#: The dialect whose hand-over is a form with the grant type's URN.
_DRAFT = "ietf"
_DEFAULT_PORTS = {"https": 443, "http": 80}
_IN_METADATA = (
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
)


class Check(models.TextChoices):
    """What is tested, in this order."""

    NAME = "name", _("Its name resolves")
    TLS = "tls", _("The connection is encrypted")
    METADATA = "metadata", _("Its metadata agrees with what is set up here")
    ENDPOINT = "token_endpoint", _("Its token endpoint answers")
    CREDENTIALS = "credentials", _("It accepts our credentials")
    GRANT = "grant", _("It takes reciprocal codes")


class State(models.TextChoices):
    """How a test ended. Unknown: the answer does not tell, or it could not be asked."""

    PASSED = "passed", _("passed")
    FAILED = "failed", _("failed")
    UNKNOWN = "unknown", _("not known")


#: How one test ended, and why.
Result = tuple[State, str]


@dataclass(frozen=True)
class Finding:
    """How one test ended, and why, in plain words."""

    check: Check
    state: State
    reason: str

    def as_dict(self) -> dict[str, str]:
        """For programs: the names of check and state are kept, the reason is for people."""
        return {"check": self.check.value, "state": self.state.value, "reason": self.reason}


def has_failed(findings: Sequence[Finding]) -> bool:
    return any(finding.state == State.FAILED for finding in findings)


@sensitive_variables()
def run(peer: Peer) -> list[Finding]:
    """Ask the peer; one finding for each :class:`Check`, in their order.

    Each request may take ``HTTP_TOTAL_TIMEOUT_SECONDS``. Changes nothing there, and nothing here
    but what is noted of whether the peer takes reciprocal codes.
    """
    results: dict[Check, Result] = dict.fromkeys(
        Check, (State.UNKNOWN, gettext("Not asked, because of what failed."))
    )
    _ask_all(peer, results)
    return [Finding(check, *result) for check, result in results.items()]


@sensitive_variables()
def _ask_all(peer: Peer, results: MutableMapping[Check, Result]) -> None:
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
    """What the peer said to a code that it never issued; ``None``: it took it."""
    made_up = {"code": secrets.token_urlsafe(), "code_verifier": secrets.token_urlsafe(48)}
    try:
        response = token_endpoint.post(peer, url, {**made_up, **parameters})
    except PeerError as error:
        return error
    return None if response.is_success else token_endpoint.refusal(response)


def _tls(peer: Peer, asked: PeerError | None) -> Result:
    if isinstance(asked, TLSFailed):
        return State.FAILED, str(asked)
    if asked is not None and not isinstance(asked, PeerRefused):
        return State.UNKNOWN, gettext("There was no connection to look at.")
    if urlsplit(peer.token_endpoint).scheme != "https":
        return State.UNKNOWN, gettext("It is not, which only this machine itself is allowed.")
    return State.PASSED, gettext("The certificate holds.")


def _metadata(peer: Peer) -> tuple[bool, Result]:
    """Whether the metadata lists the reciprocal grant, and whether it agrees with ``peer``."""
    if not peer.issuer:
        reason = gettext("No issuer is set up, so there is no metadata to read.")
        return False, (State.UNKNOWN, reason)
    try:
        metadata = discover(peer.issuer)
    except PeerError as error:
        return False, (State.FAILED, "; ".join(str(error).splitlines()))
    return metadata.takes_handovers, _compared(peer, metadata)


def _compared(peer: Peer, metadata: Metadata) -> Result:
    # What is left out here is not used: to offer it is no fault.
    differing = [
        str(peer._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
        for name in _IN_METADATA
        if (here := getattr(peer, name)) and not is_endpoint(here, getattr(metadata, name))
    ]
    if differing:
        text = gettext("It names other addresses than are set up here: %s.")
        return State.FAILED, text % ", ".join(differing)
    if peer.sends_iss and not metadata.sends_iss:
        return State.UNKNOWN, gettext(
            "It does not say that it names its issuer in its answers, and none is taken here that "
            "does not."
        )
    reason = gettext("All addresses agree.")
    if metadata.sends_iss and not peer.sends_iss:
        reason += " " + gettext(
            "It says that it names its issuer in its answers: switch that on here, so that none "
            "without is taken."
        )
    return State.PASSED, reason


def _endpoint(asked: PeerError | None) -> Result:
    if asked is None:
        return State.FAILED, gettext(
            "It takes a code that was made up: it checks nothing, or is another page."
        )
    if not isinstance(asked, PeerRefused):
        return State.FAILED, str(asked)
    # RFC 6749, section 5.2: 400 or 401, and an error code. Without one, any page may have answered;
    # with one of the others, also a guard in front of a token endpoint.
    if asked.error and asked.status in (400, 401, 403, 429):
        return State.PASSED, gettext("It answers as a token endpoint does: %s.") % asked
    if asked.status in (401, 403, 429):
        return _untold(asked)
    return State.FAILED, gettext("It does not answer as a token endpoint does: %s.") % asked


def _credentials(refused: PeerRefused) -> Result:
    # Before the status: there are servers that answer an unknown code with 401.
    if refused.error == INVALID_GRANT:
        return State.PASSED, gettext("It refused the made-up code only.")
    if refused.status == 401 or refused.error == INVALID_CLIENT:
        return State.FAILED, gettext(
            "It refuses them. Compare client ID, client secret and method with it."
        )
    if refused.error in (UNAUTHORIZED_CLIENT, UNSUPPORTED_GRANT_TYPE):
        return State.FAILED, gettext("It does not let this site use authorization codes.")
    return _untold(refused)


def _grant(peer: Peer, *, announced: bool) -> Result:
    if peer.dialect != _DRAFT:
        return State.UNKNOWN, gettext("That cannot be tested with a peer that speaks this dialect.")
    made_up = {"client_id": peer.client_id, "access_token": secrets.token_urlsafe()}
    asked = _ask(peer, peer.handover_endpoint, {"grant_type": GRANT_TYPE, **made_up})
    if asked is None:
        return State.FAILED, gettext(
            "It takes a hand-over that was made up: it checks nothing, or is another page."
        )
    if not isinstance(asked, PeerRefused):
        return State.FAILED, str(asked)
    if asked.error == UNSUPPORTED_GRANT_TYPE and asked.status < 500:
        peer.note_reverse(is_taken=False)
        return State.FAILED, gettext(
            "It does not support the reverse direction: it does not know the reciprocal grant. "
            "Links with it work one way."
        )
    if asked.error == UNAUTHORIZED_CLIENT:
        return State.FAILED, gettext("It does not let this site use the reciprocal grant.")
    if asked.status == 401 or asked.error == INVALID_CLIENT:
        return State.FAILED, gettext("It refuses our credentials where codes are handed over.")
    if asked.status in (404, 405, 410):
        return State.FAILED, gettext("Nothing takes codes at this address: %s.") % asked
    if asked.status == 400 and (asked.error == INVALID_GRANT or (asked.error and announced)):
        peer.note_reverse(is_taken=True)
        return State.PASSED, gettext("It refused the made-up values only.")
    return _untold(asked)


def _untold(refused: PeerRefused) -> Result:
    return State.UNKNOWN, gettext("Its answer does not tell: %s.") % refused
