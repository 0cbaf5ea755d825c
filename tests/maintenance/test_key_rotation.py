"""Key rotation with ``reciprocal_rotate_keys``: all secrets get the new key, and none is lost."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth import secret
from reciprocal_oauth.maintenance import key_rotation
from reciprocal_oauth.models import (
    AuthorizationRequest,
    InboxItem,
    Link,
    OutboxItem,
    Pairing,
    Peer,
    SiteKey,
)
from reciprocal_oauth.secret import PREFIX, Secret, derived_key

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))
PLAIN = {
    "authorizationrequest.code_verifier": "c4nary-verifier",
    "inboxitem.code": "c4nary-code",
    "inboxitem.peer_data": '{"address": "c4nary-of-code"}',
    "link.access_token": "c4nary-access",
    "link.peer_data": '{"address": "c4nary-of-link"}',
    "link.refresh_token": "c4nary-refresh",
    "outboxitem.token": "c4nary-to-revoke",
    "pairing.answer": "c4nary-answer",
    "pairing.body": "c4nary-body",
    "pairing.code": "c4nary-invitation",
    "pairing.issued_client_secret": "c4nary-issued",
    "pairing.our_client_secret": "c4nary-ours",
    "pairing.our_token": "c4nary-registration",
    "pairing.reverse_token": "c4nary-reverse",
    "peer.client_secret": "c4nary-client",
    "sitekey.private_jwk": "c4nary-key",
}


@pytest.fixture
def use_keys(settings: Settings) -> Callable[..., None]:
    def use(*keys: str) -> None:
        settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"ENCRYPTION_KEYS": keys}

    return use


def secrets_of(model: Any) -> dict[str, Secret]:
    """A secret for every column of ``model`` that holds one."""
    prefix = f"{model._meta.model_name}."
    return {
        label.removeprefix(prefix): Secret(text)
        for label, text in PLAIN.items()
        if label.startswith(prefix)
    }


@pytest.fixture
def make_rows(user: Any, make_peer: Callable[..., Peer]) -> Callable[[], None]:
    """Makes one row of each kind, with a secret in every column."""

    def make() -> None:
        peer = make_peer(**secrets_of(Peer))
        link = Link.objects.create(user=user, peer=peer, **secrets_of(Link))
        for model in (InboxItem, OutboxItem):
            model.objects.create(peer=peer, link=link, **secrets_of(model))
        AuthorizationRequest.objects.create(
            user=user, peer=peer, **secrets_of(AuthorizationRequest)
        )
        Pairing.objects.create(peer=peer, expires_at=timezone.now(), **secrets_of(Pairing))
        SiteKey.objects.create(kid="1", **secrets_of(SiteKey))

    return make


@pytest.fixture
def rows(use_keys: Callable[..., None], make_rows: Callable[[], None]) -> None:
    """One row of each kind, under the old key."""
    use_keys(OLD)
    make_rows()


def run(*arguments: str) -> str:
    out = io.StringIO()
    try:
        call_command("reciprocal_rotate_keys", *arguments, stdout=out)
    except CommandError as error:
        assert_shows_nothing(out.getvalue() + str(error))
        error.add_note(out.getvalue())
        raise
    assert_shows_nothing(out.getvalue())
    return out.getvalue()


def assert_shows_nothing(text: str) -> None:
    assert "c4nary" not in text
    assert PREFIX not in text
    assert not any(key in text for key in (OLD, NEW, LOST))


def totals(*arguments: str) -> dict[str, int]:
    document = json.loads(run("--json", *arguments))
    return {name: document[name] for name in ("rotated", "current", "unreadable")}


def revealed() -> dict[str, str]:
    """The secrets of the one row in each table."""
    return {
        f"{model._meta.model_name}.{name}": getattr(model._base_manager.get(), name).reveal()
        for model, name in key_rotation.encrypted_columns()
    }


def ciphertext(model: type, name: str = "access_token") -> str:
    return getattr(model._base_manager.get(), name).encrypted()


def store(model: type, name: str, text: str) -> None:
    """Store ``text`` in the table without encryption."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {model._meta.db_table} SET {name} = %s", [text])  # noqa: S608


def test_every_column_that_holds_secrets_is_known() -> None:
    found = {f"{model._meta.model_name}.{name}" for model, name in key_rotation.encrypted_columns()}

    assert found == set(PLAIN)


@pytest.mark.threat("X6")
def test_afterwards_the_old_key_can_be_removed(rows: None, use_keys: Callable[..., None]) -> None:
    use_keys(NEW, OLD)

    assert totals() == {"rotated": len(PLAIN), "current": 0, "unreadable": 0}

    use_keys(NEW)
    assert revealed() == PLAIN
    assert totals() == {"rotated": 0, "current": len(PLAIN), "unreadable": 0}


@pytest.mark.threat("X6")
def test_what_is_under_the_first_key_is_not_written(
    rows: None, use_keys: Callable[..., None]
) -> None:
    use_keys(NEW, OLD)
    run()
    before = ciphertext(Link)

    run()

    assert ciphertext(Link) == before


def test_nothing_else_in_the_rows_changes(rows: None, use_keys: Callable[..., None]) -> None:
    use_keys(NEW, OLD)
    before = Link.objects.values("updated_at", "status", "outgoing_scope").get()
    Link.objects.update(refresh_token=Secret(""))

    assert totals()["rotated"] == len(PLAIN) - 1

    assert Link.objects.values("updated_at", "status", "outgoing_scope").get() == before
    assert not Link.objects.get().refresh_token
    assert Link.objects.filter(refresh_token="").exists()


@pytest.mark.threat("X6")
@pytest.mark.parametrize("after", range(len(PLAIN)))
def test_after_a_kill_the_next_run_continues(
    rows: None, use_keys: Callable[..., None], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    use_keys(NEW, OLD)
    writes = []

    def dying(stored: str, place: str) -> str:
        if len(writes) == after:
            raise SystemExit("killed")
        writes.append(stored)
        return secret.reencrypted(stored, place)

    with monkeypatch.context() as patch:
        patch.setattr(key_rotation, "reencrypted", dying)
        with pytest.raises(SystemExit):
            run()
    assert revealed() == PLAIN

    assert totals() == {"rotated": len(PLAIN) - after, "current": after, "unreadable": 0}
    use_keys(NEW)
    assert revealed() == PLAIN


@pytest.mark.threat("X6")
@pytest.mark.parametrize(
    ("written_with", "expected"),
    [
        (NEW, {"rotated": len(PLAIN) - 1, "current": 1, "unreadable": 0}),
        (OLD, {"rotated": len(PLAIN), "current": 0, "unreadable": 0}),
    ],
    ids=["new_key", "old_key"],
)
def test_a_token_that_is_refreshed_meanwhile_is_not_overwritten(
    rows: None,
    use_keys: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    written_with: str,
    expected: dict[str, int],
) -> None:
    """The other process may still have the old keys."""
    use_keys(NEW, OLD)
    use_keys(written_with)
    link = Link.objects.get()
    link.access_token = Secret("c4nary-refreshed")
    fresh = link.access_token.encrypted()
    use_keys(NEW, OLD)
    before = ciphertext(Link)

    def meanwhile(stored: str, place: str) -> str:
        if stored == before:
            store(Link, "access_token", fresh)
        return secret.reencrypted(stored, place)

    monkeypatch.setattr(key_rotation, "reencrypted", meanwhile)

    assert totals() == expected

    use_keys(NEW)
    assert revealed() == PLAIN | {"link.access_token": "c4nary-refreshed"}


@pytest.mark.threat("X6")
@pytest.mark.parametrize("how", ["emptied", "deleted"])
def test_a_token_that_is_forgotten_meanwhile_does_not_come_back(
    rows: None, use_keys: Callable[..., None], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    use_keys(NEW, OLD)
    before = ciphertext(Link)

    def meanwhile(stored: str, place: str) -> str:
        if stored == before and how == "emptied":
            Link.objects.update(access_token=Secret(""), refresh_token=Secret(""))
        elif stored == before:
            Link.objects.all().delete()
        return secret.reencrypted(stored, place)

    monkeypatch.setattr(key_rotation, "reencrypted", meanwhile)

    run()

    assert not Link.objects.exclude(access_token="").exists()


@pytest.mark.threat("X6")
def test_many_rows(
    user: Any,
    peer: Peer,
    use_keys: Callable[..., None],
) -> None:
    """One statement for each, and one for each batch."""
    count = 4_000
    use_keys(OLD)
    Link.objects.bulk_create(
        Link(user=user, peer=peer, account_key=f"{n}", access_token=Secret(f"token {n}"))
        for n in range(count)
    )
    peer.client_secret = Secret("also under the old key")
    peer.save()
    use_keys(NEW, OLD)

    queries = []

    def counting(execute: Any, *arguments: Any) -> Any:
        queries.append(1)
        return execute(*arguments)

    with connection.execute_wrapper(counting):
        assert totals() == {"rotated": count + 1, "current": 0, "unreadable": 0}

    assert len(queries) < count + 4 * count // key_rotation.BATCH_ROWS
    use_keys(NEW)
    for link in Link.objects.only("account_key", "access_token").iterator():
        assert link.access_token.reveal() == f"token {link.account_key}"


class TestDerivedKeys:
    """Without keys of their own, secrets are under keys derived from ``SECRET_KEY``."""

    @pytest.fixture(autouse=True)
    def _rows(self, make_rows: Callable[[], None], settings: Settings) -> None:
        settings.SECRET_KEY = "old" * 20
        make_rows()

    @pytest.mark.threat("X6")
    def test_the_secret_key_is_replaced(self, settings: Settings) -> None:
        settings.SECRET_KEY = "new" * 20
        settings.SECRET_KEY_FALLBACKS = ["old" * 20]

        assert totals()["rotated"] == len(PLAIN)

        settings.SECRET_KEY_FALLBACKS = []
        assert revealed() == PLAIN
        assert totals()["current"] == len(PLAIN)

    @pytest.mark.threat("X6")
    def test_keys_of_their_own_take_over(
        self, settings: Settings, use_keys: Callable[..., None]
    ) -> None:
        use_keys(NEW, derived_key(settings.SECRET_KEY))
        assert revealed() == PLAIN

        assert totals()["rotated"] == len(PLAIN)

        use_keys(NEW)
        assert revealed() == PLAIN


class TestUnreadable:
    """Secrets that no key decrypts are counted, named and not changed."""

    @pytest.fixture
    def lost(self, rows: None, use_keys: Callable[..., None]) -> dict[type, str]:
        """Two of the six values are unreadable: the key of one is lost, the other is plain text."""
        use_keys(LOST)
        link = Link.objects.get()
        link.access_token = Secret("c4nary")
        stored = {Link: link.access_token.encrypted(), Peer: "c4nary in clear"}
        store(Link, "access_token", stored[Link])
        store(Peer, "client_secret", stored[Peer])
        use_keys(NEW, OLD)
        return stored

    @pytest.mark.threat("X6", "X7")
    def test_the_others_are_re_encrypted_and_the_status_is_1(self, lost: dict[type, str]) -> None:
        with pytest.raises(CommandError) as error:
            run()

        assert error.value.returncode == 1
        assert "link.access_token (1), peer.client_secret (1)." in str(error.value)
        assert "link.refresh_token" not in str(error.value)
        assert ciphertext(Link) == lost[Link]
        assert ciphertext(Peer, "client_secret") == lost[Peer]

    @pytest.mark.threat("X6")
    def test_the_document_is_printed_all_the_same(self, lost: dict[type, str]) -> None:
        with pytest.raises(CommandError) as error:
            run("--json")

        document = json.loads(error.value.__notes__[0])
        assert (document["rotated"], document["unreadable"]) == (len(PLAIN) - 2, 2)
        assert document["columns"]["peer.client_secret"]["unreadable"] == 1

    @pytest.mark.threat("X6")
    def test_with_the_lost_key_back_the_next_run_ends_well(
        self, lost: dict[type, str], use_keys: Callable[..., None]
    ) -> None:
        peer = Peer.objects.get()
        peer.client_secret = Secret("entered anew")
        peer.save()
        use_keys(NEW, OLD, LOST)

        assert totals() == {"rotated": len(PLAIN) - 1, "current": 1, "unreadable": 0}


class TestOutput:
    """What the command prints."""

    @pytest.mark.usefixtures("rows")
    def test_for_people(self, use_keys: Callable[..., None]) -> None:
        use_keys(NEW, OLD)

        *columns, last = run().splitlines()

        assert len(columns) == len(PLAIN)
        line = next(each for each in columns if each.startswith("link.access_token"))
        assert line.split("  ")[-1].strip() == "1 re-encrypted, 0 already with the first key"
        assert last == "The first key decrypts all stored secrets. You can remove older keys."

    @pytest.mark.usefixtures("rows")
    def test_a_dry_run_counts_and_writes_nothing(self, use_keys: Callable[..., None]) -> None:
        use_keys(NEW, OLD)
        before = ciphertext(Link)

        text = run("--dry-run")

        assert "1 to re-encrypt" in text
        assert "can remove" not in text
        assert totals("--dry-run")["rotated"] == len(PLAIN)
        assert ciphertext(Link) == before
        run()
        assert "can remove" in run("--dry-run")

    @pytest.mark.django_db
    def test_as_json_every_column_is_named(self) -> None:
        nothing = {"rotated": 0, "current": 0, "unreadable": 0}

        assert json.loads(run("--json")) == {
            "dry_run": False,
            **nothing,
            "columns": dict.fromkeys(PLAIN, nothing),
        }

    @pytest.mark.usefixtures("rows")
    def test_an_unreadable_secret_stands_out(self, use_keys: Callable[..., None]) -> None:
        use_keys(NEW)

        with pytest.raises(CommandError) as error:
            run()

        assert error.value.__notes__[0].count("1 UNREADABLE") == len(PLAIN)
