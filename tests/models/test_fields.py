"""Stored secrets: encrypted, bound to their row, and neither shown nor lost by mistake."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.management import call_command
from django.db import connection
from django.db.models import Model, TextField, Value
from pytest_django import Settings

from reciprocal_oauth.exceptions import DecryptionError
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.secret import PREFIX, UNBOUND_PREFIX, Secret


def raw(text: str) -> Value:
    """A value that the database stores without encryption."""
    return Value(text, output_field=TextField())


OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture
def use_keys(settings: Settings) -> Callable[..., None]:
    def use(*keys: str) -> None:
        settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"ENCRYPTION_KEYS": keys}

    return use


def _column(model: type, name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name} FROM {model._meta.db_table}")  # noqa: S608  Our own names.
        return str(cursor.fetchone()[0])


@pytest.mark.threat("X1")
def test_what_stands_in_the_table_is_ciphertext(link_as_a: Link) -> None:
    stored = _column(Link, "access_token")

    assert stored.startswith(PREFIX)
    assert "token-of-the-peer" not in stored
    assert Link.objects.get().access_token.reveal() == "token-of-the-peer"


def test_an_empty_value_is_stored_empty(link_as_a: Link) -> None:
    Link.objects.update(refresh_token=Secret(""))

    assert _column(Link, "refresh_token") == ""
    assert not Link.objects.get().refresh_token
    assert Link.objects.filter(refresh_token="").exists()


def test_a_plain_text_that_is_assigned_is_encrypted(peer: Peer) -> None:
    peer.client_secret = "pl4in-canary"
    peer.save()

    assert _column(Peer, "client_secret").startswith(PREFIX)
    assert Peer.objects.get().client_secret.reveal() == "pl4in-canary"


@pytest.mark.parametrize("text", ["ünïcödé ✓", "x" * 8192, " spaces ", "a\nb"])
def test_any_text_comes_back_as_it_was(text: str, peer: Peer) -> None:
    peer.client_secret = Secret(text)
    peer.save()

    assert Peer.objects.get().client_secret.reveal() == text


class TestRotation:
    """The first key writes, any key reads."""

    @pytest.mark.threat("X6")
    def test_an_older_key_reads_and_the_first_writes(
        self, peer: Peer, use_keys: Callable[..., None]
    ) -> None:
        use_keys(OLD)
        peer.client_secret = Secret("s3cret")
        peer.save()
        use_keys(NEW, OLD)

        found = Peer.objects.get()
        assert found.client_secret.reveal() == "s3cret"
        found.client_secret = Secret("s3cret")
        found.save()

        use_keys(NEW)
        assert Peer.objects.get().client_secret.reveal() == "s3cret"

    @pytest.mark.threat("X6")
    def test_a_value_that_was_only_read_is_written_back_as_it_stood(
        self, peer: Peer, use_keys: Callable[..., None]
    ) -> None:
        use_keys(OLD)
        peer.client_secret = Secret("s3cret")
        peer.save()
        before = _column(Peer, "client_secret")
        use_keys(NEW, OLD)

        found = Peer.objects.get()
        found.client_secret.reveal()
        found.save()

        assert _column(Peer, "client_secret") == before


class TestUnreadable:
    """With a wrong key a value is neither shown nor destroyed."""

    @pytest.fixture
    def unreadable(self, link_as_a: Link, use_keys: Callable[..., None]) -> Link:
        use_keys(OTHER)
        return Link.objects.get()

    @pytest.mark.threat("X7")
    def test_reading_it_fails_aloud_and_shows_neither_text(self, unreadable: Link) -> None:
        with pytest.raises(DecryptionError, match="ENCRYPTION_KEYS") as error:
            unreadable.access_token.reveal()

        assert "token-of-the-peer" not in str(error.value)
        assert PREFIX not in str(error.value)
        assert error.value.__cause__ is None
        assert error.value.__suppress_context__

    @pytest.mark.threat("X7")
    def test_the_row_can_be_listed_changed_and_saved_all_the_same(self, unreadable: Link) -> None:
        before = _column(Link, "access_token")

        assert str(list(Link.objects.all()))
        assert unreadable.access_token
        unreadable.account_name = "Alice"
        unreadable.full_clean()
        unreadable.save()

        assert _column(Link, "access_token") == before
        assert _column(Link, "account_name") == "Alice"

    @pytest.mark.threat("X7")
    @pytest.mark.parametrize(
        "stored", ["pl4in-text", "fernet1:", "fernet1:ö", "fernet2:abc", "fernet3:abc"]
    )
    def test_what_is_no_ciphertext_is_never_taken_for_the_text(
        self, stored: str, link_as_a: Link
    ) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE reciprocal_oauth_link SET access_token = %s", [stored])

        with pytest.raises(DecryptionError):
            Link.objects.get().access_token.reveal()


class TestMoved:
    """A ciphertext is bound to its column and its row: an attacker who can write to the database,
    but has no key, cannot make this site send a secret to another party."""

    @pytest.fixture
    def other(self, link_as_a: Link, make_peer: Callable[..., Peer], other_user: Any) -> Link:
        """The link of another person, at another peer."""
        peer = make_peer(slug="other", client_secret=Secret("secret-at-the-other"))
        return Link.objects.create(user=other_user, peer=peer, access_token=Secret("of-the-other"))

    @staticmethod
    def _copy(source: str, row: Model, column: str, **where: Any) -> None:
        model = type(row)
        stored = model.objects.filter(pk=row.pk).values_list(source, flat=True).get()
        model.objects.filter(**where).update(**{column: raw(stored.encrypted())})

    @pytest.mark.threat("X8")
    def test_it_cannot_be_decrypted_in_another_row(self, link_as_a: Link, other: Link) -> None:
        self._copy("access_token", link_as_a, "access_token", pk=other.pk)

        with pytest.raises(DecryptionError, match="another row or column"):
            Link.objects.get(pk=other.pk).access_token.reveal()
        assert Link.objects.get(pk=link_as_a.pk).access_token.reveal() == "token-of-the-peer"

    @pytest.mark.threat("X8")
    def test_it_cannot_be_decrypted_in_another_column(self, link_as_a: Link) -> None:
        self._copy("access_token", link_as_a, "refresh_token", pk=link_as_a.pk)

        with pytest.raises(DecryptionError, match="another row or column"):
            Link.objects.get(pk=link_as_a.pk).refresh_token.reveal()

    @pytest.mark.threat("X8")
    def test_it_cannot_be_decrypted_after_its_row_moved_to_another_peer(
        self, link_as_a: Link, other: Link
    ) -> None:
        Link.objects.filter(pk=link_as_a.pk).update(peer=other.peer)

        with pytest.raises(DecryptionError, match="another row or column"):
            Link.objects.get(pk=link_as_a.pk).access_token.reveal()

    @pytest.mark.threat("X8", "X121")
    def test_it_cannot_be_decrypted_after_its_row_moved_to_another_person(
        self, link_as_a: Link, other_user: Any
    ) -> None:
        Link.objects.filter(pk=link_as_a.pk).update(user=other_user)

        with pytest.raises(DecryptionError, match="another row or column"):
            Link.objects.get(pk=link_as_a.pk).access_token.reveal()

    def test_a_link_that_is_saved_for_another_person_keeps_its_tokens(
        self, link_as_a: Link, other_user: Any
    ) -> None:
        link_as_a.user = other_user
        link_as_a.save()

        assert Link.objects.get().access_token.reveal() == "token-of-the-peer"
        assert Link.objects.get().refresh_token.reveal() == "refresh-of-the-peer"

    @pytest.mark.threat("X8", "X121")
    def test_a_code_is_not_redeemed_for_the_link_of_another_person(
        self, link_as_a: Link, other: Link
    ) -> None:
        InboxItem.objects.create(
            peer=link_as_a.peer, link=link_as_a, code=Secret("of-one"), code_hash="1"
        )
        assert InboxItem.objects.get().code.reveal() == "of-one"

        InboxItem.objects.update(link=other)

        with pytest.raises(DecryptionError, match="another row or column"):
            InboxItem.objects.get().code.reveal()

    @pytest.mark.threat("X8")
    def test_a_peer_is_not_sent_the_client_secret_of_another(self, peer: Peer, other: Link) -> None:
        self._copy("client_secret", peer, "client_secret", pk=other.peer_id)

        with pytest.raises(DecryptionError, match="another row or column"):
            Peer.objects.get(pk=other.peer_id).client_secret.reveal()

    @pytest.mark.threat("X8")
    def test_the_token_of_a_revocation_cannot_be_decrypted_for_another_peer(
        self, link_as_a: Link, other: Link
    ) -> None:
        item = OutboxItem.objects.create(
            kind=OutboxItem.Kind.REVOCATION, peer=link_as_a.peer, token=link_as_a.access_token
        )
        assert OutboxItem.objects.get().token.reveal() == "token-of-the-peer"

        OutboxItem.objects.filter(pk=item.pk).update(peer=other.peer)

        with pytest.raises(DecryptionError, match="another row or column"):
            OutboxItem.objects.get().token.reveal()

    @pytest.mark.threat("X8")
    def test_a_copy_of_an_unreadable_secret_is_unreadable(
        self, link_as_a: Link, other: Link
    ) -> None:
        self._copy("access_token", link_as_a, "access_token", pk=other.pk)
        stolen = Link.objects.get(pk=other.pk)

        OutboxItem.objects.create(peer=other.peer, token=stolen.access_token)

        with pytest.raises(DecryptionError):
            OutboxItem.objects.get().token.reveal()

    def test_a_peer_keeps_its_secret_when_its_short_name_changes(self, peer: Peer) -> None:
        found = Peer.objects.get()
        found.slug = "another-name"
        found.save()

        assert Peer.objects.get().client_secret.reveal() == "our-secret-at-the-peer"

    def test_a_secret_that_was_not_assigned_to_a_row_is_not_written(self, link_as_a: Link) -> None:
        with pytest.raises(TypeError, match="assign it to the row first"):
            Link.objects.update(access_token=Secret("of-nobody"))

    def test_a_row_that_was_read_in_part_has_its_secrets(self, link_as_a: Link) -> None:
        assert Link.objects.only("access_token").get().access_token.reveal() == "token-of-the-peer"
        assert Link.objects.defer("access_token").get().access_token.reveal() == "token-of-the-peer"

    def test_an_unbound_secret_is_read_and_saved_unchanged(
        self, link_as_a: Link, use_keys: Callable[..., None]
    ) -> None:
        use_keys(OLD)
        stored = UNBOUND_PREFIX + Fernet(OLD).encrypt(b"of-old").decode()
        Link.objects.update(access_token=raw(stored))

        found = Link.objects.get()
        assert found.access_token.reveal() == "of-old"
        found.save()

        assert _column(Link, "access_token") == stored

    def test_the_places_stay_the_same_from_release_to_release(self, link_as_a: Link) -> None:
        """If the name of a model or a field changed, stored secrets could not be decrypted."""
        key = (link_as_a.pk, link_as_a.user_id, link_as_a.peer_id, link_as_a.bound_to)
        assert link_as_a.access_token.place == ("reciprocal_oauth.link.access_token", *key)
        assert link_as_a.refresh_token.place == ("reciprocal_oauth.link.refresh_token", *key)
        assert link_as_a.peer.client_secret.place == (
            "reciprocal_oauth.peer.client_secret",
            "music",
            link_as_a.peer.bound_to,
        )


class TestSerialized:
    """Fixtures contain the ciphertext."""

    @pytest.mark.threat("X1")
    @pytest.mark.parametrize("format_", ["json", "xml", "jsonl"])
    def test_a_round_trip_keeps_the_ciphertext_and_never_shows_the_text(
        self, format_: str, link_as_a: Link
    ) -> None:
        before = _column(Link, "access_token")

        fixture = serializers.serialize(format_, [link_as_a.peer, Link.objects.get()])
        Link.objects.all().delete()
        for restored in serializers.deserialize(format_, fixture):
            restored.save()

        assert "token-of-the-peer" not in fixture
        assert "our-secret-at-the-peer" not in fixture
        assert _column(Link, "access_token") == before
        assert Link.objects.get().access_token.reveal() == "token-of-the-peer"

    def test_dumpdata_and_loaddata(self, link_as_a: Link, tmp_path: Any) -> None:
        file = tmp_path / "all.json"
        call_command("dumpdata", "--natural-foreign", output=str(file), verbosity=0)
        tokens = {
            row["fields"].get("access_token")
            for row in json.loads(file.read_text())
            if row["model"] == "reciprocal_oauth.link"
        }
        Link.objects.all().delete()

        call_command("loaddata", str(file), verbosity=0)

        assert all(token.startswith(PREFIX) for token in tokens)
        assert Link.objects.get().access_token.reveal() == "token-of-the-peer"

    def test_values_do_not_show_the_text(self, link_as_a: Link) -> None:
        assert "token-of-the-peer" not in str(list(Link.objects.values()))


def test_a_row_that_was_never_filled_has_an_empty_secret(peer: Peer) -> None:
    assert not OutboxItem(peer=peer).token
    assert OutboxItem.objects.create(peer=peer).token == Secret("")
