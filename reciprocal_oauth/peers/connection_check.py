"""Whether a peer is set up so that it can work, found out by asking it.

Everything that is sent is made up, except our credentials: a code and an access token that the peer
never issued, which it has to refuse. How it refuses them tells what it thinks of the rest
(RFC 6749, section 5.2): it authenticates the client before it looks at the code (section 4.1.3).

Not tested here: peers that speak another dialect than the draft's take hand-overs in ways that a
made-up one may not show.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from ..client import addresses, token_endpoint
from ..client.discovery import Metadata, discover
from ..core.peer_urls import is_endpoint
from ..core.protocol import GRANT_TYPE, INVALID_CLIENT, INVALID_GRANT, UNSUPPORTED_GRANT_TYPE
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
    findings = _run(peer)
    grant = findings[-1]
    if grant.state == State.PASSED:
        peer.note_reverse(is_taken=True)
    elif grant.reason == _no_reverse():
        peer.note_reverse(is_taken=False)
    return findings


@sensitive_variables()
def _run(peer: Peer) -> list[Finding]:
    try:
        found = _resolved(peer.token_endpoint)
    except PeerError as error:
        first = Finding(Check.NAME, State.FAILED, str(error))
        return [first, *_not_asked(list(Check)[1:])]
    name = Finding(Check.NAME, State.PASSED, ", ".join(found))
    metadata, about_metadata = _metadata(peer)
    try:
        asked = _ask(peer, peer.token_endpoint, {"grant_type": "authorization_code"})
    except DecryptionError:
        return _without_credentials(name, about_metadata)
    findings = [name, _tls(peer, asked), about_metadata, _endpoint(asked)]
    if not isinstance(asked, PeerRefused):
        return [*findings, *_not_asked((Check.CREDENTIALS, Check.GRANT))]
    credentials = _credentials(asked)
    if credentials.state == State.FAILED:
        return [*findings, credentials, *_not_asked((Check.GRANT,))]
    return [*findings, credentials, _grant(peer, metadata)]


def _without_credentials(name: Finding, metadata: Finding) -> list[Finding]:
    """What is left to say where no key of this site reads the secret for the peer."""
    tls, endpoint, grant = _not_asked((Check.TLS, Check.ENDPOINT, Check.GRANT))
    reason = gettext("The stored secret cannot be read with the keys of this site.")
    credentials = Finding(Check.CREDENTIALS, State.FAILED, reason)
    return [name, tls, metadata, endpoint, credentials, grant]


def _resolved(url: str) -> Sequence[str]:
    parts = urlsplit(url)
    return addresses.resolve(parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme])


@sensitive_variables()
def _ask(peer: Peer, url: str, parameters: Mapping[str, str]) -> PeerError | None:
    """What the peer said to a code that it never issued; ``None``: it took it."""
    made_up = {"code": secrets.token_urlsafe(), "code_verifier": secrets.token_urlsafe(48)}
    try:
        answer = token_endpoint.post(peer, url, {**made_up, **parameters})
    except PeerError as error:
        return error
    return None if answer.is_success else token_endpoint.refusal(answer)


def _tls(peer: Peer, asked: PeerError | None) -> Finding:
    if isinstance(asked, TLSFailed):
        return Finding(Check.TLS, State.FAILED, str(asked))
    if asked is not None and not isinstance(asked, PeerRefused):
        return Finding(Check.TLS, State.UNKNOWN, gettext("There was no connection to look at."))
    if urlsplit(peer.token_endpoint).scheme != "https":
        reason = gettext("It is not, which only this machine itself is allowed.")
        return Finding(Check.TLS, State.UNKNOWN, reason)
    return Finding(Check.TLS, State.PASSED, gettext("The certificate holds."))


def _metadata(peer: Peer) -> tuple[Metadata | None, Finding]:
    if not peer.issuer:
        reason = gettext("No issuer is set up, so there is no metadata to read.")
        return None, Finding(Check.METADATA, State.UNKNOWN, reason)
    try:
        metadata = discover(peer.issuer)
    except PeerError as error:
        reason = "; ".join(str(error).splitlines())
        return None, Finding(Check.METADATA, State.FAILED, reason)
    other = ", ".join(_differing(peer, metadata))
    if other:
        reason = gettext("It names other addresses than are set up here: %s.") % other
        return metadata, Finding(Check.METADATA, State.FAILED, reason)
    reason = gettext("All addresses agree.")
    if peer.sends_iss and not metadata.sends_iss:
        reason = gettext(
            "It does not say that it names its issuer in its answers, and none is taken here that "
            "does not."
        )
        return metadata, Finding(Check.METADATA, State.UNKNOWN, reason)
    if metadata.sends_iss and not peer.sends_iss:
        reason += " " + gettext(
            "It says that it names its issuer in its answers: switch that on here, so that none "
            "without is taken."
        )
    return metadata, Finding(Check.METADATA, State.PASSED, reason)


def _differing(peer: Peer, metadata: Metadata) -> Iterator[str]:
    for field in Peer._meta.fields:
        # What is left out here is not used: to offer it is no fault.
        here = getattr(peer, field.name) if field.name in _IN_METADATA else ""
        if here and not is_endpoint(here, getattr(metadata, field.name)):
            yield str(field.verbose_name)


def _endpoint(asked: PeerError | None) -> Finding:
    if asked is None:
        reason = gettext("It takes a code that was made up: it checks nothing, or is another page.")
        return Finding(Check.ENDPOINT, State.FAILED, reason)
    if not isinstance(asked, PeerRefused):
        return Finding(Check.ENDPOINT, State.FAILED, str(asked))
    # RFC 6749, section 5.2: 400 or 401, and an error code. Without one, any page may have answered;
    # with one of the others, also a guard in front of a token endpoint.
    if asked.error and asked.status in (400, 401, 403, 429):
        reason = gettext("It answers as a token endpoint does: %s.") % asked
        return Finding(Check.ENDPOINT, State.PASSED, reason)
    if asked.status in (401, 403, 429):
        return Finding(Check.ENDPOINT, State.UNKNOWN, _untold(asked))
    reason = gettext("It does not answer as a token endpoint does: %s.") % asked
    return Finding(Check.ENDPOINT, State.FAILED, reason)


def _credentials(refused: PeerRefused) -> Finding:
    # Before the status: there are servers that answer an unknown code with 401.
    if refused.error == INVALID_GRANT:
        reason = gettext("It refused the made-up code only.")
        return Finding(Check.CREDENTIALS, State.PASSED, reason)
    if refused.status == 401 or refused.error == INVALID_CLIENT:
        reason = gettext("It refuses them. Compare client ID, client secret and method with it.")
        return Finding(Check.CREDENTIALS, State.FAILED, reason)
    if refused.error in ("unauthorized_client", UNSUPPORTED_GRANT_TYPE):
        reason = gettext("It does not let this site use authorization codes.")
        return Finding(Check.CREDENTIALS, State.FAILED, reason)
    return Finding(Check.CREDENTIALS, State.UNKNOWN, _untold(refused))


def _grant(peer: Peer, metadata: Metadata | None) -> Finding:
    if peer.dialect != _DRAFT:
        reason = gettext("That cannot be tested with a peer that speaks this dialect.")
        return Finding(Check.GRANT, State.UNKNOWN, reason)
    bogus = {
        "grant_type": GRANT_TYPE,
        "client_id": peer.client_id,
        "access_token": secrets.token_urlsafe(),
    }
    answer = _ask(peer, peer.handover_endpoint, bogus)
    if answer is None:
        reason = gettext(
            "It takes a hand-over that was made up: it checks nothing, or is another page."
        )
        return Finding(Check.GRANT, State.FAILED, reason)
    if not isinstance(answer, PeerRefused):
        return Finding(Check.GRANT, State.FAILED, str(answer))
    return _grant_answer(answer, announced=metadata is not None and metadata.takes_handovers)


def _grant_answer(refused: PeerRefused, *, announced: bool) -> Finding:
    if refused.error == UNSUPPORTED_GRANT_TYPE and refused.status < 500:
        return Finding(Check.GRANT, State.FAILED, _no_reverse())
    if refused.error == "unauthorized_client":
        reason = gettext("It does not let this site use the reciprocal grant.")
        return Finding(Check.GRANT, State.FAILED, reason)
    if refused.status == 401 or refused.error == INVALID_CLIENT:
        reason = gettext("It refuses our credentials where codes are handed over.")
        return Finding(Check.GRANT, State.FAILED, reason)
    if refused.status in (404, 405, 410):
        reason = gettext("Nothing takes codes at this address: %s.") % refused
        return Finding(Check.GRANT, State.FAILED, reason)
    if refused.status == 400 and (refused.error == INVALID_GRANT or (refused.error and announced)):
        reason = gettext("It refused the made-up values only.")
        return Finding(Check.GRANT, State.PASSED, reason)
    return Finding(Check.GRANT, State.UNKNOWN, _untold(refused))


def _no_reverse() -> str:
    return gettext(
        "It does not support the reverse direction: it does not know the reciprocal grant. Links "
        "with it work one way."
    )


def _untold(refused: PeerRefused) -> str:
    return gettext("Its answer does not tell: %s.") % refused


def _not_asked(checks: Sequence[Any]) -> list[Finding]:
    reason = gettext("Not asked, because of what failed.")
    return [Finding(check, State.UNKNOWN, reason) for check in checks]
