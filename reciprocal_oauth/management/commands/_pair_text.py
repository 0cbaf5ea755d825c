"""What the command ``reciprocal_pair`` prints about a pairing: as text, and as a JSON document."""

from collections.abc import Iterable, Mapping
from typing import Any

from reciprocal_oauth.conf import settings
from reciprocal_oauth.core import scopes
from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.pairing import display, plain_client
from reciprocal_oauth.pairing.accepting import Offer
from reciprocal_oauth.pairing.check_number import check_number
from reciprocal_oauth.pairing.inviting import Terms
from reciprocal_oauth.peers import discovery
from reciprocal_oauth.peers.findings import Check
from reciprocal_oauth.peers.findings import State as Result
from reciprocal_oauth.presentation import pairing_status
from reciprocal_oauth.presentation.pairing_status import AgreedScope, Turn

from ._output import fields_of, for_people, printable, shortened, table

State = Pairing.State
#: The fields of a pairing that the JSON document contains as they are. No secret is among them.
_FIELDS = (
    "slug role state task renews enable name our_name homepage display issuer expected_issuer "
    "auth_method its_auth_method our_thumbprints thumbprints allowed_scope asked_scope "
    "offered_scope wanted_scope attempts next_attempt_at last_error findings created_at expires_at "
    "completed_at"
)

#: What a site says of itself, each with its label.
_ABOUT = (
    ("it says", "description"),
    ("its logo", "logo_uri"),
    ("its privacy policy", "policy_uri"),
    ("its terms of service", "tos_uri"),
    ("its account endpoint", "account_endpoint"),
    ("member of the name", "account_member"),
)


def document_of(pairing: Pairing) -> dict[str, Any]:
    """Return the pairing for a JSON document. Programs rely on the names."""
    there, here = pairing_status.scope_there(pairing), pairing_status.scope_here(pairing)
    return {
        "id": str(pairing.pk),
        **fields_of(pairing, _FIELDS),
        "peer": pairing.peer.slug if pairing.peer else None,
        "peer_enabled": pairing.peer.enabled if pairing.peer else None,
        "check_number": _number(pairing),
        "waits_for": pairing_status.turn_of(pairing).value,
        "next": pairing_status.what_next(pairing),
        "next_command": next_command(pairing),
        "scope_there": _scope_document(there),
        "scope_here": _scope_document(here),
    }


def _scope_document(scope: AgreedScope) -> dict[str, Any]:
    return {
        "agreed": scopes.join(scope.agreed),
        "dropped": scopes.join(scope.dropped),
        "known": scope.is_known,
    }


def next_command(pairing: Pairing) -> str:
    """Return the command with which an administrator of this site goes on; ``""`` if there is
    none."""
    turn, slug = pairing_status.turn_of(pairing), pairing.slug
    if turn in (Turn.THIS_SITE, Turn.OTHER_SITE):
        # It waits for the other site, and does what is due then.
        return f"reciprocal_pair retry {slug}"
    if turn != Turn.ADMINISTRATOR:
        return ""
    if plain_client.is_waiting(pairing):
        return f"reciprocal_peer add {slug} --pairing"
    if pairing.state == State.ACCEPTED:
        return f"reciprocal_pair confirm {slug}"
    slug = pairing.peer.slug if pairing.peer else slug
    if pairing.last_error:
        return f"reciprocal_pair rotate {slug}"
    if pairing_status.has_failed_test(pairing):
        return f"reciprocal_peer test {slug}"
    return f"reciprocal_peer add {slug} --enable"


def row_of(pairing: Pairing) -> tuple[str, ...]:
    """Return the row of a pairing in the list of pairings."""
    issuer = pairing.issuer or pairing.expected_issuer
    return (
        pairing.slug,
        shortened(issuer or "(whoever has the invitation)", 60),
        str(Pairing.Role(pairing.role).label),
        str(State(pairing.state).label),
        next_command(pairing),
    )


def pairing_text(pairing: Pairing) -> str:
    """Return a table with what this site knows about the pairing, and the findings of its test."""
    issuer = pairing.issuer or pairing.expected_issuer
    state = str(State(pairing.state).label)
    if pairing.completed_at and pairing.state == State.COMPLETE:
        state += f", {for_people(pairing.completed_at)}"
    rows = [
        ("pairing", f"{pairing.slug} ({Pairing.Role(pairing.role).label})"),
        ("host", pairing_status.host_of(issuer) or "(whoever has the invitation)"),
        ("issuer", issuer or "–"),
        ("its name", pairing.name or "–"),
        ("our name", pairing.our_name),
        ("state", state),
        ("next", pairing_status.what_next(pairing)),
        *_if_any("command", next_command(pairing)),
        *_if_any("last error", pairing.last_error),
        *_client_rows(pairing),
        *_display_rows(pairing),
        *_attempt_rows(pairing),
        *_check_rows(pairing),
        *_scope_rows(pairing),
    ]
    return "\n\n".join(filter(None, [table(rows), findings_text(pairing)]))


def _if_any(label: str, value: str) -> list[tuple[str, str]]:
    return [(label, value)] if value else []


def _client_rows(pairing: Pairing) -> Iterable[tuple[str, str]]:
    """Yield what shows who a site is that knows only RFC 7591, and so has named no issuer."""
    if pairing.issued_client_id and not pairing.issuer:
        yield "its client ID here", pairing.issued_client_id
        for uri in pairing.redirect_uris:
            yield "its redirect URI", uri


def _display_rows(pairing: Pairing) -> Iterable[tuple[str, str]]:
    """Yield what the other site says of itself to people."""
    about = display.offered(pairing)
    for label, name in _ABOUT:
        yield from _if_any(label, about.get(name, ""))


def _attempt_rows(pairing: Pairing) -> Iterable[tuple[str, str]]:
    if pairing_status.turn_of(pairing) == Turn.THIS_SITE:
        at = pairing.next_attempt_at
        yield "attempts", str(pairing.attempts)
        yield "next attempt", for_people(at) if at else "–"
    if pairing.is_under_way:
        yield "good until", for_people(pairing.expires_at)


def _number(pairing: Pairing) -> str:
    """Return the check number; ``""`` if the other site does not know one."""
    return "" if pairing.role == Pairing.Role.REGISTRANT else check_number(pairing)


def _check_rows(pairing: Pairing) -> Iterable[tuple[str, str]]:
    if not pairing_status.is_over(pairing):
        yield from _if_any("check number", _number(pairing))
    methods = pairing_status.method_in_words
    yield from _if_any("we authenticate there", methods(pairing.auth_method))
    yield from _if_any("it authenticates here", methods(pairing.its_auth_method))
    for thumbprint in pairing.our_thumbprints:
        yield "our key", thumbprint
    for thumbprint in pairing.thumbprints:
        yield "its key", thumbprint


def _scope_rows(pairing: Pairing) -> Iterable[tuple[str, str]]:
    there, here = pairing_status.scope_there(pairing), pairing_status.scope_here(pairing)
    words = pairing_status.words_there(pairing)
    yield from _rows_for(there, "we may hold there", "we ask for there", words)
    yield from _rows_for(here, "it may hold here", "allowed here", scopes.described())
    for label, scope in (("not allowed there", there), ("not allowed here", here)):
        yield from _if_any(label, " ".join(scope.dropped))


def _rows_for(
    scope: AgreedScope, known: str, not_known: str, words: Mapping[str, str]
) -> Iterable[tuple[str, str]]:
    label = known if scope.is_known else not_known
    if not scope.agreed:
        yield label, "(nothing)"
    for token in scope.agreed:
        yield label, scope_in_words(token, words)
        label = ""


def scope_in_words(token: str, words: Mapping[str, str]) -> str:
    """Return the name of a scope, with its description if it has one."""
    return f"{token}: {words[token]}" if scopes.has_words(token, words) else token


def findings_text(pairing: Pairing) -> str:
    """Return the findings of the test that was made when the pairing was complete; ``""`` if it was
    not made yet."""
    rows = [
        (_label(Result, each.get("state")), _label(Check, each.get("check")), each.get("reason"))
        for each in pairing.findings
    ]
    return table(rows)


def _label(choices: Any, value: object) -> str:
    return str(choices(value).label) if value in choices.values else printable(value)


def about_invitation(pairing: Pairing) -> str:
    """Return what to do with an invitation that was just made."""
    until = for_people(pairing.expires_at)
    if pairing.is_bound:
        lines = [
            f"This invitation is for {printable(pairing.expected_issuer)}. It is good until "
            f"{until}.",
            "Give it to an administrator there. The pairing then completes by itself.",
        ]
    else:
        lines = [
            f"This invitation is for whoever has it first. It is good until {until}.",
            "Give it to an administrator of the other site in a private message. When it is "
            f"accepted, confirm with: reciprocal_pair confirm {pairing.slug}",
        ]
    lines.append("There, it is accepted in the admin, or with: reciprocal_pair accept SLUG")
    if settings.DISPATCHER == "none":
        lines.append(
            "This site has no dispatcher: run reciprocal_deliver here, or afterwards: "
            f"reciprocal_pair retry {pairing.slug}"
        )
    return "\n".join([*lines, ""])


def about_offer(offer: Offer, terms: Terms) -> str:
    """Return what the user decides about when accepting an invitation."""
    words = Peer(slug=terms.slug, scope_words=discovery.words_of(offer.metadata)).described_scopes()
    ours = scopes.described()
    method = pairing_status.method_in_words(offer.auth_method)
    enabled = "at once" if terms.enable else "after you have enabled the peer"
    rows = [
        ("issuer", offer.metadata.issuer),
        *_if_any("it says", offer.metadata.description),
        *_if_any("its privacy policy", offer.metadata.policy_uri),
        *_if_any("its terms of service", offer.metadata.tos_uri),
        ("short name here", f"{terms.slug}{', which gets new credentials' * terms.renews}"),
        *_decided_rows("this site asks for there", terms.asked_scope, words),
        *_decided_rows("it may hold here", terms.allowed_scope, ours),
        ("this site authenticates there", method),
        ("people can connect", enabled),
    ]
    return table(rows)


def _decided_rows(label: str, scope: str, words: Any) -> list[tuple[str, str]]:
    tokens = scopes.split(scope)
    texts = [scope_in_words(token, words) for token in tokens] or ["(nothing)"]
    return [(label if number == 0 else "", text) for number, text in enumerate(texts)]
