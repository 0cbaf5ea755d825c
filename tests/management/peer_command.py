"""Runs the command ``reciprocal_peer`` as a shell or a terminal would."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Peer

#: Our secret at the peer.
CANARY = "canary-of-ours"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(*arguments: str, stdin: str | Terminal = "", **options: Any) -> str:
    """The standard output of the command."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(stdin) if isinstance(stdin, str) else stdin)
        call_command("reciprocal_peer", *arguments, stdout=out, **options)
    return out.getvalue()


def refusal(*arguments: str, **options: Any) -> dict[str, list[str]]:
    """The reasons that the command gives, by flag. Nothing may be saved then."""
    before = (Peer.objects.count(), get_application_model().objects.count())
    with pytest.raises(CommandError) as raised:
        run(*arguments, **options)
    assert (Peer.objects.count(), get_application_model().objects.count()) == before
    first, *lines = str(raised.value).splitlines()
    assert first == "Nothing was saved."
    reasons: dict[str, list[str]] = {}
    for line in lines:
        flag, _, reason = line.strip().partition(": ")
        reasons.setdefault(flag, []).append(reason)
    return reasons
