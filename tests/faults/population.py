"""People who have come halfway: at the site where they started there is a link with tokens of the
other one, and the question what that may do in return; at the other, a link that waits."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connections
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.models.links import KEY_UNKNOWN, key_of_family
from reciprocal_oauth.secret import Secret

from .plan import OTHER, SCOPES_HERE, SCOPES_THERE, STARTS, Person

#: SQLite takes so many values in a statement.
BATCH = 500
LIFE = timedelta(hours=10)


def populate(people: Sequence[Person]) -> None:
    """Bring ``people`` to where they are asked for their consent, at both sites."""
    _all(get_user_model(), STARTS, [_user(each) for each in people])
    _all(get_user_model(), OTHER, [_user(each) for each in people])
    _open_there(people)
    _open_here(people)
    for site in (STARTS, OTHER):
        _count_rows(site)


def _open_here(people: Sequence[Person]) -> None:
    peer = Peer.objects.using(STARTS).get()
    users = _users(STARTS)
    links = [
        Link(
            user_id=users[each.name],
            peer=peer,
            account_key=KEY_UNKNOWN,
            outgoing_state=Link.Outgoing.ACTIVE,
            access_token=Secret(each.access_token),
            refresh_token=Secret(each.refresh_token),
            access_token_expires_at=_expires(each),
            outgoing_scope=" ".join(SCOPES_THERE),
            incoming_state=Link.Incoming.OFFERED,
            offered_scope=" ".join(SCOPES_HERE),
        )
        for each in people
    ]
    _all(Link, STARTS, links)


def _open_there(people: Sequence[Person]) -> None:
    """As a finished authorization code grant leaves it."""
    peer = Peer.objects.using(OTHER).get()
    users = _users(OTHER)
    owner = {each.access_token: each for each in people}
    common: dict[str, Any] = {"application_id": peer.application_id}
    access_tokens = [
        get_access_token_model()(
            user_id=users[each.name],
            token=each.access_token,
            scope=" ".join(SCOPES_THERE),
            expires=_expires(each),
            **common,
        )
        for each in people
    ]
    refresh_tokens = [
        get_refresh_token_model()(
            user_id=users[owner[access.token].name],
            token=owner[access.token].refresh_token,
            access_token=access,
            token_family=owner[access.token].family,
            **common,
        )
        for access in _all(get_access_token_model(), OTHER, access_tokens)
    ]
    _all(get_refresh_token_model(), OTHER, refresh_tokens)
    links = [
        Link(
            user_id=users[each.name],
            peer=peer,
            account_key=key_of_family(each.family),
            incoming_family=each.family,
            incoming_scope=" ".join(SCOPES_THERE),
            incoming_state=Link.Incoming.ACTIVE,
        )
        for each in people
    ]
    _all(Link, OTHER, links)


def _user(person: Person) -> Any:
    return get_user_model()(username=person.name, password="!")


def _users(site: str) -> dict[str, Any]:
    return dict(get_user_model().objects.using(site).values_list("username", "pk"))


def _expires(person: Person) -> Any:
    return timezone.now() + (-LIFE if person.has_run_out else LIFE)


def _count_rows(site: str) -> None:
    """Tell the database how large the tables are; it would find out by itself in a while."""
    tables = [model._meta.db_table for model in apps.get_models() if model._meta.managed]
    statement = "ANALYZE TABLE" if connections[site].vendor == "mysql" else "ANALYZE"
    with connections[site].cursor() as cursor:
        for table in connections[site].introspection.table_names(cursor):
            if table in tables:
                cursor.execute(f"{statement} {connections[site].ops.quote_name(table)}")


def _all(model: Any, site: str, rows: Sequence[Any]) -> Iterator[Any]:
    """Save ``rows``; gives them with their keys, which MariaDB and SQLite tell as well."""
    model.objects.using(site).bulk_create(rows, batch_size=BATCH)
    return iter(rows)
