"""The checks of a peer, and their results."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

#: The name of the dialect that follows draft-ietf-oauth-reciprocal-04, section 2.2.2, exactly.
DRAFT = "ietf"


class Check(models.TextChoices):
    """The checks, in the order in which they are made. The values do not change between versions,
    so that programs can rely on them."""

    NAME = "name", _("The host name resolves")
    TLS = "tls", _("The connection is encrypted")
    METADATA = "metadata", _("The metadata agrees with the settings of the peer here")
    ENDPOINT = "token_endpoint", _("The token endpoint responds")
    CREDENTIALS = "credentials", _("The peer accepts our credentials")
    GRANT = "grant", _("The peer accepts reciprocal codes")
    REDIRECT_URI = "redirect_uri", _("The peer has the redirect URI of this site")
    RESPONSE = "authorization_response", _("The peer accepts authorization requests of this site")
    SCOPES = "scopes", _("The scopes exist")
    CLOCK = "clock", _("The clocks agree")
    COOKIES = "cookies", _("The sites share no cookies")
    # Only for some dialects and for vendors with a preset: see :mod:`.connection_check.vendor`.
    REDIRECT_URIS = "redirect_uris", _("The application has the redirect URIs of the vendor")
    HANDOVER = "handover", _("The peer can reach its address at this site")
    GRACE = "grace_period", _("A replaced refresh token still works for a while")
    PRESET = "preset", _("The peer has the addresses of the vendor")
    # Not of one peer.
    WORKER = "worker", _("This site has a worker")


class State(models.TextChoices):
    """The state of a check. It is ``UNKNOWN`` if the check could not be made, or has neither
    clearly passed nor clearly failed, and ``ADVICE`` if a peer with this configuration works, but
    another configuration is better."""

    PASSED = "passed", _("passed")
    FAILED = "failed", _("failed")
    UNKNOWN = "unknown", _("not known")
    NOT_NEEDED = "not_needed", _("not needed")
    ADVICE = "advice", _("advice")


#: The state of one check, and a text for the administrator that gives the reason for this state.
Result = tuple[State, str]


@dataclass(frozen=True)
class Finding:
    """The result of one check, with a reason that a person can read."""

    check: Check
    state: State
    reason: str

    def as_dict(self) -> dict[str, str]:
        """Return the finding as a dictionary for the output of ``reciprocal_peer test --json``.
        Programs rely on the values of ``check`` and ``state``."""
        return {"check": self.check.value, "state": self.state.value, "reason": self.reason}


def has_failed(findings: Sequence[Finding]) -> bool:
    """Return whether at least one of the checks has failed."""
    return any(finding.state == State.FAILED for finding in findings)


def summary(findings: Sequence[Finding]) -> str:
    """Return a few words for an administrator that say how the checks ended. They claim no more
    than the checks have shown."""
    counts = Counter(finding.state for finding in findings)
    failed, unknown = counts[State.FAILED], counts[State.UNKNOWN]
    advice = counts[State.ADVICE]
    if not failed:
        is_open = unknown or advice
        first = gettext("No test failed.") if is_open else gettext("All tests passed.")
    else:
        first = ngettext("%d test failed.", "%d tests failed.", failed) % failed
    parts = [first]
    if unknown:
        text = ngettext(
            "The result of %d test is not known.", "The results of %d tests are not known.", unknown
        )
        parts.append(text % unknown)
    if advice:
        text = ngettext("There is advice on %d test.", "There is advice on %d tests.", advice)
        parts.append(text % advice)
    return " ".join(parts)
