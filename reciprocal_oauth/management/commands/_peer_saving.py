"""Validate and save a peer together with its application (its DOT client at this site). One error
message lists everything that is wrong."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.management.base import CommandError

from reciprocal_oauth.core.database import atomic, tried_again
from reciprocal_oauth.links import incoming_access
from reciprocal_oauth.models import Peer
from reciprocal_oauth.models.binding import PeerChange, changes_between
from reciprocal_oauth.peers import reconfiguration
from reciprocal_oauth.peers.application import application_for, application_is_fixed

from ._output import printable
from ._peer_flags import APPLICATION_FLAGS, PEER_FLAGS, application_flags

#: Maps a flag of the command to the error messages about its value. If an error belongs to no flag,
#: the key is a description such as “peer” or “its application”.
Problems = dict[str, list[str]]


@tried_again
def save(
    slug: str,
    values: Mapping[str, Any],
    *,
    client_id: str | None,
    client_secret: str | None,
    redirect_uris: Sequence[str] | None,
    application_fields: Mapping[str, Any] | None = None,
    discovered: Collection[str] = (),
    accept_changes: bool = False,
) -> tuple[Peer, bool, str]:
    """Add or update the peer ``slug`` and its application, in one transaction.

    :param values: the fields of the peer to set. All other fields keep their values.
    :param client_id: the client ID of the application that the peer gets. With ``None``, the peer
        keeps its application; a new peer gets a new application with a generated client ID.
    :param client_secret: the new client secret of the application. With ``None``, the application
        keeps its secret; for a new application, a secret is generated.
    :param redirect_uris: the new redirect URIs of the application; ``None`` if they stay the same.
    :param application_fields: the new values of other attributes of the application, by name.
    :param discovered: the names of the fields in ``values`` that come from the peer's metadata.
    :param accept_changes: whether the user has confirmed changes that need confirmation.
    :returns: the peer, whether the peer is new, and the client secret of the application if it was
        generated now (otherwise ``""``).
    :raises CommandError: a value is not valid, or a change needs confirmation. The message lists
        the errors of each flag.
    """
    with atomic():
        found = Peer.objects.select_for_update().filter(slug=slug).first()
        before = Peer.objects.filter(slug=slug).first()
        peer = found or Peer(slug=slug)
        name_before, application_before = peer.name, peer.application_id
        for field, value in values.items():
            setattr(peer, field, value)
        application = application_for(
            peer,
            client_id=client_id,
            client_secret=client_secret,
            redirect_uris=redirect_uris,
            fields=application_fields,
        )
        is_new = application._state.adding
        made_up = application.client_secret if is_new and client_secret is None else ""
        is_changed = bool(
            client_secret is not None or redirect_uris is not None or application_fields
        )
        if found and application.name == name_before != peer.name:
            application.name, is_changed = peer.name, True
        problems = _problems_of_application(peer, application, application_before)
        if not problems and (is_new or is_changed):
            problems = _problems_of(application, application_flags(), "its application")
            if not application.redirect_uris and APPLICATION_FLAGS["redirect_uris"] in problems:
                # Replace the error message of DOT, because it does not say what the user of this
                # command must do.
                problems[APPLICATION_FLAGS["redirect_uris"]] = [
                    "Give the redirect URI of the peer. The peer's administrator knows it."
                ]
            if client_secret == "":
                _add(problems, APPLICATION_FLAGS["client_secret"], "The secret is missing.")
            if not problems:
                application.save()
        if not problems:
            peer.application = application
        # If the application has errors, check the peer all the same, so that the message lists the
        # errors of both.
        exclude = {"application"} if problems else set()
        application_flag = APPLICATION_FLAGS["client_id"]
        flags = {"slug": "SLUG", "application": application_flag, **PEER_FLAGS}
        for flag, reasons in _problems_of(peer, flags, "peer", exclude).items():
            _add(problems, flag, *reasons)
        if not accept_changes:
            if before is not None:
                _add(problems, "--accept-changes", *_changes(before, peer, discovered))
            if not is_new and application.pk != application_before:
                _add(problems, "--accept-changes", *_takes_over(application))
        if problems:
            raise CommandError(_text(problems))
        peer.save()
    # Nobody needs the generated secret of a peer that authenticates with a key.
    return peer, found is None, "" if peer.uses_key_here else made_up


def _changes(before: Peer, peer: Peer, discovered: Collection[str]) -> list[str]:
    """Return one sentence for each change of the peer that the user must confirm. If links stop
    working because of the changes, also return a sentence with the number of these links.

    The user must confirm a new address of the peer, a new client ID of this site at the peer,
    another application, and every change that comes from the metadata of the peer.

    :param before: the peer as it is stored now.
    :param peer: the same peer with the new values.
    :param discovered: the names of the fields whose new values come from the metadata.
    """
    moves = changes_between(before, peer)
    moved = {move.field for move in moves}
    found = [
        PeerChange(field, str(Peer._meta.get_field(field).verbose_name), str(old), str(new))  # type: ignore[union-attr]
        for field in discovered
        # The words of the peer for its scopes need no confirmation: they change no access.
        if field != "scope_words"
        and (old := getattr(before, field)) != (new := getattr(peer, field))
        and field not in moved
    ]
    lines = [f"Give this flag to change {change}" for change in (*moves, *found)]
    if moves and (count := reconfiguration.count_links_to_reconnect(peer)):
        lines.append(f"Connections that stop working until people connect again: {count}.")
    return lines


def _takes_over(application: Any) -> list[str]:
    """Return a list with a warning if users have already given ``application`` access to their
    accounts; otherwise return an empty list. When ``application`` becomes the application of a
    peer, this access is limited to the scopes that the peer may have. So call this function before
    that."""
    count = incoming_access.count_users(application)
    if not count:
        return []
    return [
        f"Give this flag to make {application.client_id} the application of the peer. It already "
        f"has access to accounts here (people: {count}). From then on, --allowed-scope limits this "
        "access."
    ]


def _problems_of_application(peer: Peer, application: Any, before: Any) -> Problems:
    """Return the errors if ``application`` cannot become the application of ``peer``; otherwise
    return an empty mapping. There is an error in two cases:

    - The application belongs to another peer.
    - The peer has another application now, and must keep it because the peer has active links.

    :param before: the primary key of the application that ``peer`` has now, or ``None``.
    """
    flag = APPLICATION_FLAGS["client_id"]
    other = Peer.objects.filter(application=application.pk).exclude(pk=peer.pk).first()
    if application.pk is not None and other is not None:
        return {flag: [f"This is the application of the peer {other.slug}."]}
    if before not in (None, application.pk) and application_is_fixed(peer):
        return {flag: ["The peer has active links, and their tokens belong to its application."]}
    return {}


def _problems_of(
    instance: Any, flags: Mapping[str, str], what: str, exclude: set[str] | None = None
) -> Problems:
    problems: Problems = {}
    try:
        instance.full_clean(exclude=exclude)
    except ValidationError as error:
        for field, reasons in error.message_dict.items():
            place = what if field == NON_FIELD_ERRORS else f"{what}, {field}"
            flag = flags.get(field, place)
            _add(problems, flag, *reasons)
            if any(each.code == "invalid_choice" for each in error.error_dict[field]):
                _add(problems, flag, f"Choose one of: {', '.join(_choices(instance, field))}.")
    return problems


def _choices(instance: Any, field: str) -> list[str]:
    return [str(value) for value, _label in instance._meta.get_field(field).flatchoices]


def _add(problems: Problems, flag: str, *reasons: str) -> None:
    kept = problems.setdefault(flag, [])
    kept += [reason for reason in reasons if reason not in kept]
    if not kept:
        del problems[flag]


def _text(problems: Problems) -> str:
    lines = [f"{flag}: {reason}" for flag, reasons in problems.items() for reason in reasons]
    return "\n  ".join(["Nothing was saved.", *map(printable, lines)])
