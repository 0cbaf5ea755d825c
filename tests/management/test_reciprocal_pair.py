"""``reciprocal_pair``: inviting, accepting, confirming, and saying what a pairing waits for."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.pairing.check_number import check_number

from ..fakes import Reply
from ..pairing.conftest import (  # noqa: F401
    accepted,
    complete,
    invited,
    invited_all,
    issuer,
    other,
    registered,
)
from ..pairing.other_site import REGISTER, OtherSite, register
from .peer_command import Terminal, run

# Nothing here changes the database but the command: requests to the other site go out, so no
# transaction may be open.
pytestmark = pytest.mark.django_db(transaction=True)

State = Pairing.State
SCOPES = ("--scope", "play", "--allowed-scope", "playback")
#: The exit status.
COMPLETE, REFUSED, WAITS = 0, 1, 2


class Ran:
    """What the command has printed, and its exit status."""

    def __init__(self, *arguments: str, stdin: str | Terminal = "") -> None:
        out, err = io.StringIO(), io.StringIO()
        self.status = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdin", io.StringIO(stdin) if isinstance(stdin, str) else stdin)
            patch.setattr("sys.stderr", err)
            patch.setattr("getpass.getpass", lambda prompt: _typed(prompt, stdin, err))
            try:
                call_command("reciprocal_pair", *arguments, stdout=out, stderr=err)
            except SystemExit as ended:
                self.status = int(str(ended.code))
        self.out, self.err = out.getvalue(), err.getvalue()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def _typed(prompt: str, stdin: str | Terminal, err: io.StringIO) -> str:
    assert isinstance(stdin, Terminal)
    err.write(prompt)
    return stdin.readline().rstrip("\n")


def refusal(*arguments: str, stdin: str | Terminal = "") -> str:
    """Why the command refuses. It changes nothing then."""
    before = list(Pairing.objects.order_by("pk").values())
    with pytest.raises(CommandError) as raised:
        Ran(*arguments, stdin=stdin)
    assert list(Pairing.objects.order_by("pk").values()) == before
    return str(raised.value)


# invite


def test_an_invitation_stands_alone_on_standard_output(other: OtherSite) -> None:  # noqa: F811
    ran = Ran("invite", "other", "--for", other.issuer, *SCOPES, "--enable", "--name", "Us")

    (text,) = ran.out.splitlines()
    assert text.startswith("https://testserver/connections/pair/#v=1&")
    assert text.rpartition("code=")[2] not in ran.err
    assert f"This invitation is for {other.issuer}." in ran.err
    pairing = Pairing.objects.get()
    assert (pairing.slug, pairing.state, pairing.expected_issuer) == ("other", "open", other.issuer)
    assert (pairing.asked_scope, pairing.allowed_scope) == ("play", "playback")
    assert (pairing.enable, pairing.our_name) == (True, "Us")


def test_an_invitation_for_whoever_has_it_needs_no_scope_to_ask_for() -> None:
    ran = Ran("invite", "other", "--allowed-scope", "", "--expires", "30m")

    pairing = Pairing.objects.get()
    assert not pairing.is_bound
    assert "confirm with: reciprocal_pair confirm other" in ran.err
    assert pairing.expires_at - pairing.created_at == pytest.approx(
        timedelta(minutes=30), abs=timedelta(seconds=5)
    )


def test_programs_get_the_invitation_once() -> None:
    made = Ran("invite", "other", "--allowed-scope", "profile", "--json").json

    assert made["invitation"].startswith("https://testserver/connections/pair/#v=1&")
    assert (made["state"], made["waits_for"]) == ("open", "other_site")
    shown = Ran("show", "other", "--json").json
    assert "invitation" not in shown
    assert shown == {name: value for name, value in made.items() if name != "invitation"}


def test_an_invitation_that_renews_a_peer_is_for_its_site_only(
    complete: Pairing,  # noqa: F811
    other: OtherSite,  # noqa: F811
) -> None:
    Ran("invite", "other", "--renew")

    pairing = Pairing.objects.get(renews=True)
    assert pairing.expected_issuer == other.issuer
    peer = Peer.objects.get()
    assert (pairing.asked_scope, pairing.allowed_scope) == (peer.scope, peer.allowed_scope)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scope", "play dance"), ("--scope: Not known: dance.", "play", "queue")),
        (("--scope", "play", "--allowed-scope", "all"), ("--allowed-scope: Not known: all.",)),
        ((), ("--scope: Give scopes",)),
        (("--scope", ""), ("--allowed-scope: Give scopes", "Control what is playing")),
    ],
)
def test_a_scope_that_is_wrong_or_missing_is_answered_with_the_choices(
    arguments: tuple[str, ...],
    words: tuple[str, ...],
    other: OtherSite,  # noqa: F811
) -> None:
    reason = refusal("invite", "other", "--for", other.issuer, *arguments)

    assert reason.startswith(words[0])
    assert [word for word in words if word not in reason] == []


def test_at_a_terminal_the_scopes_are_asked_for_in_the_words_of_their_site(
    other: OtherSite,  # noqa: F811
) -> None:
    other.metadata["reciprocal_scope_descriptions"] = {"play": "Play\u202e anything"}
    typed = Terminal("dance\nplay\nhistory profile\n")

    ran = Ran("invite", "other", "--for", other.issuer, stdin=typed)

    assert "play   Play anything" in ran.err
    assert "Not known: dance." in ran.err
    assert "See what you have listened to" in ran.err
    assert len(ran.out.splitlines()) == 1
    pairing = Pairing.objects.get()
    assert (pairing.asked_scope, pairing.allowed_scope) == ("play", "history profile")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("handover",), "SLUG: “handover” is part of the addresses"),
        (("two words",), "SLUG: Enter a valid"),
        (("other", "--expires", "8d"), "--expires: An invitation is valid for at most 7 days."),
        (("other", "--name", "x" * 201), "--name: A name has at most 200 characters."),
        (("other", "--renew"), "--renew: There is no peer “other”."),
        (("other", "--for", "http://10.0.0.1/o"), "--for: "),
    ],
)
def test_a_wrong_value_is_refused_with_its_flag(arguments: tuple[str, ...], reason: str) -> None:
    assert refusal("invite", *arguments, "--allowed-scope", "").startswith(reason)


def test_a_site_that_cannot_pair_is_named(other: OtherSite) -> None:  # noqa: F811
    del other.metadata["reciprocal_registration_endpoint"]

    reason = refusal("invite", "other", "--for", other.issuer, *SCOPES)

    assert reason == f"--for: {other.issuer} cannot pair. Add it as a peer by hand."


# accept


@pytest.mark.parametrize("given", [("-",), ()])
def test_an_invitation_is_accepted_from_standard_input(
    given: tuple[str, ...],
    other: OtherSite,  # noqa: F811
) -> None:
    ran = Ran(
        "accept", "other", *given, *SCOPES, "--yes", "--wait", "0", stdin=other.invitation() + "\n"
    )

    assert ran.status == WAITS
    pairing = Pairing.objects.get()
    assert (pairing.state, pairing.asked_scope) == (State.REGISTERED, "play")
    assert len(other.received) == 1
    assert "must confirm" not in ran.err
    assert "The other site must register here too." in ran.out
    assert check_number(pairing) in ran.out
    assert "retry other" in ran.out


@pytest.mark.threat("PA8")
def test_the_administrator_sees_the_host_and_the_scopes_before_anything_secret_is_sent(
    other: OtherSite,  # noqa: F811
) -> None:
    other.metadata["reciprocal_scope_descriptions"] = {"play": "Play anything"}
    invitation = other.invitation()

    reason = refusal("accept", "other", *SCOPES, stdin=Terminal(f"{invitation}\nno\n"))

    assert reason == "Nothing was sent."
    assert other.received == []
    ran = Ran("accept", "other", *SCOPES, "--wait", "0", stdin=Terminal(f"{invitation}\ny\n"))
    host = other.url.removeprefix("http://")
    assert f"\n    {host}\n" in ran.err
    assert f"Pair with {host}? [y/N]" in ran.err
    assert "play: Play anything" in ran.err
    assert "playback: Control what is playing" in ran.err
    assert "with a client secret" in ran.err
    assert invitation.rpartition("code=")[2] not in ran.err + ran.out


def test_without_a_terminal_it_needs_yes(other: OtherSite) -> None:  # noqa: F811
    reason = refusal("accept", "other", *SCOPES, stdin=other.invitation())

    assert reason == "Nothing was sent. Without a terminal, give --yes to go on."
    assert other.received == []


@pytest.mark.parametrize("text", ["", " \n", "https://other.example/", "x" * 5000])
def test_what_is_no_invitation_is_refused_and_not_repeated(text: str) -> None:
    reason = refusal("accept", "other", *SCOPES, "--yes", stdin=text)

    assert "INVITATION: " in reason
    assert not text.strip() or text.strip() not in reason


def test_the_user_can_stop_waiting(
    other: OtherSite,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)

    ran = Ran("accept", "other", *SCOPES, "--yes", stdin=other.invitation())

    assert ran.status == WAITS
    assert "Waiting for the other site to register here, for at most 30 s" in ran.err
    assert "The other site must register here too." in ran.out


def test_the_other_site_refuses(other: OtherSite) -> None:  # noqa: F811
    other.answers[REGISTER] = Reply.json(401, error="invalid_token")

    ran = Ran("accept", "other", *SCOPES, "--yes", "--json", stdin=other.invitation())

    assert ran.status == REFUSED
    assert (ran.json["state"], ran.json["waits_for"]) == ("failed", "")
    assert "Ask for a new one." in ran.json["last_error"]


def test_an_answer_that_was_lost_is_asked_for_again(other: OtherSite) -> None:  # noqa: F811
    works = other.answers[REGISTER]
    other.answers[REGISTER] = Reply.json(503, error="temporarily_unavailable")
    accept = Ran("accept", "other", *SCOPES, "--yes", "--wait", "0", stdin=other.invitation())
    assert accept.status == WAITS
    assert "HTTP 503" in accept.out
    assert "command                reciprocal_pair retry other" in accept.out
    other.answers[REGISTER] = works

    ran = Ran("retry", "other", "--wait", "0")

    assert ran.status == WAITS
    assert Pairing.objects.get().state == State.REGISTERED
    first, second = other.received
    assert first.body == second.body


def test_a_site_that_is_a_peer_already_is_renewed(
    complete: Pairing,  # noqa: F811
    other: OtherSite,  # noqa: F811
) -> None:
    reason = refusal("accept", "again", *SCOPES, "--yes", stdin=other.invitation())
    assert "This site is already the peer other." in reason
    peer = Peer.objects.get()

    ran = Ran("accept", "other", "--renew", "--yes", "--wait", "0", stdin=other.invitation())

    assert ran.status == WAITS
    pairing = Pairing.objects.get(renews=True)
    assert pairing.allowed_scope == peer.allowed_scope
    assert pairing.asked_scope == peer.scope


# confirm


@pytest.fixture
def waiting(invited_all: tuple[Pairing, str], other: OtherSite) -> Pairing:  # noqa: F811
    """The other site has used an invitation that was for whoever had it."""
    pairing, code = invited_all
    assert register(code, other.registration()).status_code == 201
    other.requests.clear()
    pairing.refresh_from_db()
    assert pairing.state == State.ACCEPTED
    return pairing


@pytest.mark.threat("PA2")
def test_confirming_shows_the_site_and_asks(
    waiting: Pairing,
    other: OtherSite,  # noqa: F811
) -> None:
    assert refusal("confirm", "other", stdin=Terminal("n\n")) == "Nothing was changed."
    assert other.requests == []

    ran = Ran("confirm", "other", "--wait", "0", stdin=Terminal("y\n"))

    host = other.url.removeprefix("http://")
    assert f"Pair with {host}? [y/N]" in ran.err
    assert check_number(waiting) in ran.err
    waiting.refresh_from_db()
    assert waiting.state == State.COMPLETE
    assert not Peer.objects.get().enabled


def test_a_scope_that_the_other_site_does_not_offer_is_refused(waiting: Pairing) -> None:
    reason = refusal("confirm", "other", "--scope", "queue", "--yes")

    assert reason.startswith("--scope: Not known: queue. What this site may ask for there:\n  play")


def test_a_site_that_cannot_pair_is_not_confirmed(
    invited_all: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
) -> None:
    left_out = ("issuer", "allowed_scope", "registration_token")
    plain = other.registration(**{f"reciprocal_{name}": ... for name in left_out})
    assert register(invited_all[1], plain).status_code == 201

    assert "it knows only RFC 7591" in refusal("confirm", "other", "--yes")
    assert (
        Ran("show", "other", "--json").json["next_command"] == "reciprocal_peer add other --pairing"
    )


def test_only_what_waits_for_it_is_confirmed(registered: Pairing) -> None:  # noqa: F811
    reason = refusal("confirm", "other", "--yes")

    assert reason.startswith("This pairing does not wait for a confirmation. The other site must")


# What it ends with


def test_a_complete_pairing_is_tested_and_the_findings_decide(
    waiting: Pairing,
    other: OtherSite,  # noqa: F811
) -> None:
    other.answers["/o/token/"] = Reply.json(400, error="invalid_grant")

    ran = Ran("confirm", "other", "--yes")

    assert ran.status == COMPLETE
    assert "passed     The peer accepts our credentials" in ran.out
    assert "reciprocal_peer add other --enable" in ran.out
    assert Ran("retry", "other").status == COMPLETE


def test_a_test_that_fails_is_said_in_the_exit_status(
    waiting: Pairing,
    other: OtherSite,  # noqa: F811
) -> None:
    other.answers["/o/token/"] = Reply.json(401, error="invalid_client")

    ran = Ran("confirm", "other", "--yes", "--json")

    assert ran.status == REFUSED
    assert (ran.json["state"], ran.json["waits_for"]) == ("complete", "administrator")
    assert ran.json["next_command"] == "reciprocal_peer test other"


def test_what_is_cut_is_said(waiting: Pairing, other: OtherSite) -> None:  # noqa: F811
    other.answers["/o/token/"] = Reply.json(400, error="invalid_grant")
    Pairing.objects.update(
        asked_scope="play queue", offered_scope="play", wanted_scope="playback all"
    )
    other.answer["reciprocal_allowed_scope"] = "play"

    shown = Ran("confirm", "other", "--yes", "--json").json

    assert shown["scope_there"] == {"agreed": "play", "dropped": "queue", "known": True}
    assert shown["scope_here"] == {"agreed": "playback", "dropped": "all", "known": True}
    assert Peer.objects.get().scope == "play"
    text = Ran("show", "other").out
    assert "not allowed there      queue" in text
    assert "not allowed here       all" in text


def test_nothing_has_to_be_given_to_a_paired_site(complete: Pairing) -> None:  # noqa: F811
    out = run("show", "other")

    assert "Nothing has to be given to the other site. It knows:" in out
    assert "Give this to the other site" not in out


# rotate, end


@pytest.fixture
def paired(complete: Pairing, other: OtherSite) -> Pairing:  # noqa: F811
    """A complete pairing whose test has passed."""
    other.answers["/o/token/"] = Reply.json(400, error="invalid_grant")
    assert Ran("retry", "other").status == COMPLETE
    complete.refresh_from_db()
    return complete


@pytest.mark.rfc("7592", "2.2")
def test_a_new_secret_replaces_the_old_one_and_is_tested(
    paired: Pairing,
    other: OtherSite,  # noqa: F811
) -> None:
    other.answer["client_secret"] = "a-new-secret-at-the-other-site"

    ran = Ran("rotate", "other")

    assert ran.status == COMPLETE
    assert Peer.objects.get().client_secret.reveal() == "a-new-secret-at-the-other-site"
    assert "a-new-secret" not in ran.out + ran.err


def test_a_site_that_issues_no_new_secret_is_named(paired: Pairing) -> None:
    with pytest.raises(CommandError, match="issued no new secret"):
        Ran("rotate", "other")

    shown = Ran("show", "other", "--json").json
    assert shown["waits_for"] == "administrator"
    assert shown["next_command"] == "reciprocal_pair rotate other"


def test_a_secret_that_cannot_be_fetched_now_is_fetched_later(
    paired: Pairing,
    other: OtherSite,  # noqa: F811
) -> None:
    address = f"{REGISTER}us-there/"
    other.answers[address] = Reply.json(503, error="temporarily_unavailable")

    ran = Ran("rotate", "other", "--wait", "0")

    assert ran.status == WAITS
    assert "still has to get a new secret" in ran.out
    assert len([each for each in other.to(address) if each.method == "PUT"]) == 1


@pytest.mark.rfc("7592", "2.3")
def test_a_pairing_is_ended_at_both_sites(
    paired: Pairing,
    other: OtherSite,  # noqa: F811
) -> None:
    address = f"{REGISTER}us-there/"
    other.answers[address] = Reply(204, b"")
    assert refusal("end", "other", stdin=Terminal("\n")) == "Nothing was changed."

    ran = Ran("end", "other", stdin=Terminal("y\n"))

    assert ran.status == COMPLETE
    assert "Connections that will end: 0." in ran.err
    assert other.to(address)[-1].method == "DELETE"
    assert not Peer.objects.get().enabled
    assert "There is no complete pairing “other”." in refusal("end", "other", "--yes")
    assert Ran("show", "other", "--json").json["state"] == "ended"


def test_a_site_that_cannot_be_told_of_the_end_is_told_later(
    paired: Pairing,
    other: OtherSite,  # noqa: F811
) -> None:
    other.answers[f"{REGISTER}us-there/"] = Reply.json(503, error="temporarily_unavailable")

    ran = Ran("end", "other", "--yes", "--wait", "0", "--json")

    assert ran.status == WAITS
    assert (ran.json["state"], ran.json["waits_for"]) == ("ended", "this_site")
    other.answers[f"{REGISTER}us-there/"] = Reply(204, b"")
    assert Ran("retry", "other").status == COMPLETE


def test_the_peer_says_how_it_was_paired(paired: Pairing) -> None:
    out = io.StringIO()
    call_command("reciprocal_peer", "show", "other", stdout=out)
    assert "complete; see: reciprocal_pair show other" in out.getvalue()

    out = io.StringIO()
    call_command("reciprocal_peer", "show", "other", "--json", stdout=out)
    assert json.loads(out.getvalue())["pairing"]["state"] == "complete"


# withdraw, list, show


def test_a_withdrawn_invitation_is_not_good_any_more(
    invited: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
) -> None:
    assert "is withdrawn" in Ran("withdraw", "other").out

    assert register(invited[1], other.registration()).status_code == 401
    assert "is not under way" in refusal("withdraw", "other")
    assert "A new invitation is needed." in refusal("retry", "other")


def test_pairings_that_are_over_are_listed_on_demand(
    invited: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
) -> None:
    assert "There are no pairings." not in Ran("list").out
    assert other.issuer in Ran("list").out
    Ran("withdraw", "other")

    assert "There are no pairings." in Ran("list").out
    assert Ran("list", "--json").json == []
    (shown,) = Ran("list", "--all", "--json").json
    assert shown["state"] == "withdrawn"


def test_of_several_pairings_the_one_under_way_is_shown(
    invited: tuple[Pairing, str],  # noqa: F811
) -> None:
    Ran("withdraw", "other")
    Ran("invite", "other", "--allowed-scope", "")
    Pairing.objects.filter(state="open").update(created_at=timezone.now() - timedelta(days=1))

    assert Ran("show", "other", "--json").json["state"] == "open"


def test_a_pairing_that_does_not_exist(invited: tuple[Pairing, str]) -> None:  # noqa: F811
    assert refusal("show", "musik") == "There is no pairing “musik”. Known: other."


@pytest.mark.threat("PA12")
@pytest.mark.parametrize("fixture", ["waiting", "registered", "accepted", "complete"])
def test_no_secret_is_shown(fixture: str, request: pytest.FixtureRequest) -> None:
    pairing = request.getfixturevalue(fixture)
    secrets = {
        value
        for name in ("code", "body", "reverse_token", "our_client_secret", "our_token", "answer")
        if (value := getattr(pairing, name).reveal())
    }
    assert secrets
    members = [json.loads(text) for text in secrets if text.startswith("{")]
    secrets |= {
        each[name]
        for each in members
        for name in ("client_secret", "registration_access_token", "reciprocal_registration_token")
        if name in each
    }

    shown = "".join(
        Ran(*arguments).out
        for arguments in (("show", "other"), ("show", "other", "--json"), ("list", "--json"))
    )

    assert [secret for secret in secrets if secret in shown] == []
