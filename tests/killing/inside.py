"""Runs inside a site: a process that has loaded Django, and forks one off for each order.

Starting Django takes a second, forking next to nothing, and each fork is a process of its own that
can be killed. Orders and answers are lines of JSON; see :mod:`.places` for who gives them. The
process ends, with all that it has forked, when nobody can give any more.
"""

import hashlib
import json
import os
import signal
import sys
import time
import traceback
from datetime import timedelta
from typing import Any

import django

from .moments import MOMENTS

#: A process that is still there after so many seconds hangs.
LIMIT_SECONDS = 120
#: What a server writes into its log when it begins to think.
THINKING = "A hand-over has come."

# What a site can be asked to do. Each runs in a fork, which has its own connections.


def add_user(name: str) -> None:
    from django.contrib.auth import get_user_model

    get_user_model().objects.create_user(name, password=name)


def serve(port: int, grace: bool = True, thinks_for: float = 0) -> None:
    """The web server, in the foreground.

    :param grace: whether a client that has lost the answer to a refresh may ask again.
    :param thinks_for: seconds that it takes over a hand-over.
    """
    from django.conf import settings
    from django.core.management import call_command
    from oauth2_provider.settings import oauth2_settings

    from reciprocal_oauth.party_b import take

    if not grace:
        settings.OAUTH2_PROVIDER["REFRESH_TOKEN_GRACE_PERIOD_SECONDS"] = 0
        oauth2_settings.reload()
    receive = take.receive

    def think(*args: Any, **kwargs: Any) -> Any:
        print(THINKING, flush=True)
        time.sleep(thinks_for)
        return receive(*args, **kwargs)

    if thinks_for:
        take.receive = think
    call_command("runserver", f"127.0.0.1:{port}", "--noreload", "--skip-checks")


def deliver(name: str = "") -> int:
    """Work on what is due. Gives how many rows of the person are still to be worked on."""
    from django.core.management import call_command

    from reciprocal_oauth.models import InboxItem, OutboxItem

    call_command("reciprocal_deliver", "--once")
    return sum(
        model.objects.filter(link__user__username=name, state__in=model.LIVE_STATES).count()
        for model in (InboxItem, OutboxItem)
    )


def call_the_peer(name: str, url: str) -> dict[str, Any]:
    """Call the other site's API as the person. Gives its status, or what was raised, and how often
    it was announced that the access is broken."""
    from reciprocal_oauth import get_session, signals
    from reciprocal_oauth.exceptions import NotLinked
    from reciprocal_oauth.models import Link

    announced: list[str] = []

    def note(sender: type, reason: str, **arguments: Any) -> None:
        announced.append(reason)

    signals.direction_broken.connect(note)
    try:
        came: Any = get_session(Link.objects.get(user__username=name)).get(url).status_code
    except NotLinked as error:
        came = type(error).__name__
    return {"came": came, "announced": announced}


def let_the_access_run_out(name: str) -> None:
    from django.utils import timezone

    from reciprocal_oauth.models import Link

    Link.objects.filter(user__username=name).update(
        access_token_expires_at=timezone.now() - timedelta(seconds=1)
    )


def let_the_code_run_out(name: str) -> None:
    """The life of the code is over, and so is the time in which it could have been redeemed."""
    from django.utils import timezone
    from oauth2_provider.models import get_grant_model

    from reciprocal_oauth.models import OutboxItem, ReciprocalCode

    past = timezone.now() - timedelta(seconds=1)
    ReciprocalCode.objects.filter(link__user__username=name).update(expires_at=past)
    get_grant_model().objects.filter(user__username=name).update(expires=past)
    OutboxItem.objects.filter(link__user__username=name).update(next_attempt_at=past)


def state_of(name: str) -> dict[str, Any]:
    """Everything that the site holds for the person. Tokens leave it as checksums."""
    from oauth2_provider.models import (
        get_access_token_model,
        get_grant_model,
        get_refresh_token_model,
    )

    from reciprocal_oauth.models import InboxItem, Link, OutboxItem, ReciprocalCode

    def rows(model: Any) -> list[dict[str, Any]]:
        return [
            {
                "state": row.state,
                "attempts": row.attempts,
                "is_leased": bool(row.lease_owner or row.lease_until),
                "secret": bool(getattr(row, "token", "") or getattr(row, "code", "")),
                "live_key": getattr(row, "live_key", None),
                "kind": getattr(row, "kind", ""),
            }
            for row in model.objects.filter(link__user__username=name).order_by("pk")
        ]

    own = {"user__username": name}
    live = get_refresh_token_model().objects.filter(**own, revoked__isnull=True)
    return {
        "links": [
            {
                "status": link.status,
                "two_way": link.is_two_way,
                "outgoing": [link.outgoing_state, link.outgoing_reason],
                "holds": _checksum(link.access_token),
                "scope": link.outgoing_scope,
                "family": link.incoming_family,
            }
            for link in Link.objects.filter(**own)
        ],
        "outbox": rows(OutboxItem),
        "inbox": rows(InboxItem),
        "codes": list(
            ReciprocalCode.objects.filter(link__user__username=name)
            .order_by("created_at")
            .values("state", "replays", "token_family")
        ),
        "families": sorted(set(live.values_list("token_family", flat=True))),
        "tokens": list(
            get_access_token_model().objects.filter(**own).values("scope", "token_checksum")
        ),
        "grants": get_grant_model().objects.filter(**own).count(),
    }


def _checksum(secret: Any) -> str:
    return hashlib.sha256(secret.reveal().encode()).hexdigest() if secret else ""


# What a site that pairs can be asked to do.


def invite(issuer: str, scope: str, allowed_scope: str) -> str:
    """Give the string of an invitation for the site with this issuer."""
    from reciprocal_oauth.pairing import inviting

    terms = inviting.Terms("other", allowed_scope=allowed_scope, asked_scope=scope)
    return inviting.invite(terms, partner=inviting.look_up(issuer))[1].reveal()


def accept(text: str, scope: str, allowed_scope: str, has_key: bool = True) -> None:
    """Accept an invitation, and register there.

    :param has_key: whether this site signs; otherwise it gets a secret.
    """
    from reciprocal_oauth.pairing import accepting, inviting, sending

    if not has_key:
        accepting.auth_method_for = lambda metadata: "client_secret_basic"
    terms = inviting.Terms("other", allowed_scope=allowed_scope, asked_scope=scope)
    sending.send(accepting.accept(accepting.look_up(text), terms))


def go_on_pairing() -> list[str]:
    """Do what the pairings wait for, as if all pauses and leases were over. Gives the states of
    those that are still under way or have something to do."""
    from django.utils import timezone

    from reciprocal_oauth.models import Pairing
    from reciprocal_oauth.pairing import due

    past = timezone.now() - timedelta(seconds=1)
    Pairing.objects.filter(lease_until__isnull=False).update(lease_until=past)
    Pairing.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=past)
    due.run()
    return [each.state for each in Pairing.objects.all() if each.is_under_way or each.task]


def get_a_new_secret() -> None:
    from reciprocal_oauth.models import Pairing
    from reciprocal_oauth.pairing import renewing

    renewing.rotate(Pairing.objects.get())


def end_the_pairing() -> None:
    from reciprocal_oauth.models import Pairing
    from reciprocal_oauth.pairing import renewing

    renewing.end(Pairing.objects.get())


def pairings() -> dict[str, Any]:
    """Everything that the site knows about its pairings. Secrets leave it as checksums."""
    from oauth2_provider.models import get_application_model

    from reciprocal_oauth.models import Pairing, Peer

    return {
        "states": [each.state for each in Pairing.objects.all()],
        "errors": [each.last_error for each in Pairing.objects.all() if each.last_error],
        "findings": [found["state"] for each in Pairing.objects.all() for found in each.findings],
        "peers": [[each.client_id, each.enabled] for each in Peer.objects.all()],
        "applications": [each.client_id for each in get_application_model().objects.all()],
    }


def forget_pairings() -> None:
    from oauth2_provider.models import get_application_model

    from reciprocal_oauth.models import Pairing, Peer

    Pairing.objects.all().delete()
    Peer.objects.all().delete()
    get_application_model().objects.all().delete()


# Orders


def main() -> None:
    django.setup()
    from django.urls import get_resolver

    _ = get_resolver().url_patterns  # Loaded once, here.
    running: set[int] = set()
    try:
        for line in sys.stdin:
            print(json.dumps(_obey(json.loads(line), running), default=str), flush=True)
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)


def _obey(order: dict[str, Any], running: set[int]) -> Any:
    if "end" in order:
        pid = order["end"]
        if order["signal"]:
            os.kill(pid, order["signal"])
        status = _status(pid)
        if status is not None:
            running.discard(pid)
        return status
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_a_process(order, writing)
    os.close(writing)
    if order["stays"]:
        os.close(reading)
        running.add(pid)
        return pid
    with os.fdopen(reading) as answer:
        said = answer.read()
    return {"status": _status(pid), "said": json.loads(said) if said else None}


def _status(pid: int) -> int | None:
    """Exit status of a process; negative: the signal that it died of; ``None``: it hangs."""
    give_up = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < give_up:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def _be_a_process(order: dict[str, Any], writing: int) -> None:
    status = 1
    try:
        os.dup2(2, 1)  # What it prints belongs in the log: our own output is the answers.
        if not order["stays"]:
            signal.alarm(LIMIT_SECONDS)
        if order["dies"]:
            MOMENTS[order["dies"]]()
        said = globals()[order["function"]](**order["arguments"])
        os.write(writing, json.dumps(said, default=str).encode())
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
