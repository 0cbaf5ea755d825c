"""A value that must not be seen by accident."""

import copy
import dataclasses
import json
import logging
import os
import pickle
import pprint
import subprocess
import sys
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.serializers.json import DjangoJSONEncoder
from django.template import Context, Template
from pytest_django import Settings

from reciprocal_oauth.exceptions import DecryptionError, ReciprocalError
from reciprocal_oauth.secret import (
    PREFIX,
    UNBOUND_PREFIX,
    Secret,
    decrypt,
    derived_key,
    encrypt,
    is_current,
    reencrypted,
)

CANARY = "c4nary"
PLACE = ("app.model.column", 1)


@pytest.mark.threat("X2", "X3")
@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        ascii,
        pprint.pformat,
        "{}".format,
        "{:>40}".format,
        "{!r:10}".format,
        "%s".__mod__,
        "%r".__mod__,
        lambda secret: f"{secret}{secret!r}{secret!s:>9}",
        lambda secret: str([secret, {"k": secret}]),
        lambda secret: Template("{{ s }}{{ s|safe }}").render(Context({"s": secret})),
        lambda secret: logging.LogRecord(
            "", 0, "", 0, "%s %r", (secret, secret), None
        ).getMessage(),
    ],
)
def test_it_does_not_show_its_text(show: Any) -> None:
    assert CANARY not in show(Secret(CANARY))
    assert "***" in show(Secret(CANARY))


@pytest.mark.threat("X2")
@pytest.mark.parametrize(
    "send", [pickle.dumps, json.dumps, lambda each: json.dumps(each, cls=DjangoJSONEncoder)]
)
def test_it_does_not_travel(send: Any) -> None:
    with pytest.raises(TypeError) as error:
        send(Secret(CANARY))

    assert CANARY not in str(error.value)


def test_a_copy_is_as_good_as_the_original() -> None:
    secret = Secret(CANARY)

    assert copy.copy(secret) == copy.deepcopy(secret) == secret
    assert CANARY not in repr([copy.copy(secret), copy.deepcopy([secret])])


def test_inside_a_dataclass_it_stays_hidden() -> None:
    @dataclasses.dataclass
    class Holder:
        secret: Secret

    holder = Holder(Secret(CANARY))

    assert CANARY not in f"{holder} {dataclasses.asdict(holder)}"


def test_it_is_compared_by_its_text_and_with_its_like_only() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") == Secret(ciphertext=encrypt("a", PLACE), place=PLACE)
    assert Secret("a") != "a"
    assert Secret("ü") != Secret("u")
    with pytest.raises(TypeError):
        hash(Secret("a"))


def test_it_is_true_unless_it_is_empty() -> None:
    assert Secret("a")
    assert Secret(ciphertext=encrypt("a", PLACE), place=PLACE)
    assert not Secret("")


def test_it_takes_a_text_or_a_ciphertext() -> None:
    for wrong in ({}, {"plain": "a", "ciphertext": "b"}):
        with pytest.raises(TypeError):
            Secret(**wrong)


@pytest.mark.threat("X8")
def test_it_is_encrypted_only_for_a_row() -> None:
    with pytest.raises(TypeError, match="assign it to the row first"):
        Secret(CANARY).encrypted()
    assert Secret(CANARY).at(PLACE).encrypted().startswith(PREFIX)


def test_the_same_ciphertext_is_the_same_secret_also_where_nobody_can_read_it() -> None:
    assert Secret(ciphertext=f"{PREFIX}x") == Secret(ciphertext=f"{PREFIX}x")
    with pytest.raises(DecryptionError):
        assert Secret(ciphertext=f"{PREFIX}x") == Secret(ciphertext=f"{PREFIX}y")


@pytest.mark.threat("X7")
def test_a_ciphertext_is_not_read_before_it_is_asked_for() -> None:
    secret = Secret(ciphertext=f"{PREFIX}nonsense")

    assert secret
    assert str(secret) == "***"
    assert secret.encrypted() == f"{PREFIX}nonsense"
    with pytest.raises(DecryptionError):
        secret.reveal()


class TestKeys:
    """The first key writes, any reads; none is a fault that is said aloud."""

    @pytest.fixture(autouse=True)
    def _settings(self, settings: Settings) -> None:
        self.settings = settings

    def _use(self, *keys: str) -> None:
        self.settings.RECIPROCAL_OAUTH = {"ENCRYPTION_KEYS": keys}

    def test_each_encryption_gives_another_text(self) -> None:
        assert encrypt("a", PLACE) != encrypt("a", PLACE)
        assert encrypt("a", PLACE).startswith(PREFIX)

    @pytest.mark.threat("X6")
    def test_a_key_can_be_replaced_step_by_step(self) -> None:
        old, new = (Fernet.generate_key().decode() for _ in range(2))
        self._use(old)
        first = encrypt("a", PLACE)
        self._use(new, old)
        second = encrypt("b", PLACE)

        assert (decrypt(first, PLACE), decrypt(second, PLACE)) == ("a", "b")
        self._use(new)
        assert decrypt(second, PLACE) == "b"
        with pytest.raises(DecryptionError):
            decrypt(first, PLACE)

    @pytest.mark.threat("X6")
    def test_without_keys_they_are_derived_from_the_secret_key_and_its_fallbacks(self) -> None:
        self._use()
        self.settings.SECRET_KEY = "old" * 20
        self.settings.SECRET_KEY_FALLBACKS = []
        first = encrypt("a", PLACE)

        self.settings.SECRET_KEY = "new" * 20
        with pytest.raises(DecryptionError):
            decrypt(first, PLACE)
        self.settings.SECRET_KEY_FALLBACKS = ["old" * 20]
        assert decrypt(first, PLACE) == "a"
        assert decrypt(encrypt("b", PLACE), PLACE) == "b"

    def test_the_secret_key_itself_is_not_the_key(self) -> None:
        key = Fernet.generate_key().decode()
        self._use()
        self.settings.SECRET_KEY = key
        stored = encrypt("a", PLACE)

        self._use(key)
        with pytest.raises(DecryptionError):
            decrypt(stored, PLACE)

    @pytest.mark.threat("X6")
    @pytest.mark.parametrize("secret_key", ["old" * 20, b"old" * 20])
    def test_a_derived_key_can_be_named_to_go_over_to_others(self, secret_key: str | bytes) -> None:
        self._use()
        self.settings.SECRET_KEY = secret_key
        stored = encrypt("a", PLACE)

        self._use(Fernet.generate_key().decode(), derived_key(secret_key))
        assert decrypt(stored, PLACE) == "a"

    def test_the_settings_themselves_may_derive_a_key(self) -> None:
        code = "from reciprocal_oauth.secret import derived_key; print(derived_key('x'))"
        without_settings = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}

        done = subprocess.run(
            [sys.executable, "-c", code],
            env=without_settings,
            check=True,
            capture_output=True,
            text=True,
        )

        assert done.stdout.strip() == derived_key("x")

    @pytest.mark.threat("X6")
    def test_it_is_told_which_key_wrote_a_text(self) -> None:
        old, new = (Fernet.generate_key().decode() for _ in range(2))
        self._use(old)
        stored = encrypt("ä", PLACE)
        assert is_current(stored, PLACE)

        self._use(new, old)
        assert not is_current(stored, PLACE)
        assert is_current(reencrypted(stored, PLACE), PLACE)
        assert decrypt(reencrypted(stored, PLACE), PLACE) == "ä"
        assert not any(
            is_current(each, PLACE) for each in ("", "pl4in", f"{PREFIX}x", f"{PREFIX}ö")
        )
        with pytest.raises(DecryptionError):
            reencrypted("pl4in", PLACE)

    @pytest.mark.parametrize("key", ["short", "", "ö" * 44, 5, None])
    def test_a_key_that_is_none_is_refused_with_how_to_make_one(self, key: Any) -> None:
        self._use(key)

        with pytest.raises(ImproperlyConfigured, match=r"ENCRYPTION_KEYS.*generate_key"):
            encrypt("a", PLACE)

    @pytest.mark.threat("X7")
    def test_a_text_that_is_not_encrypted_is_not_returned(self) -> None:
        with pytest.raises(DecryptionError) as error:
            decrypt("pl4in-canary", PLACE)

        assert "canary" not in str(error.value)

    @pytest.mark.threat("X8")
    def test_a_text_is_read_in_its_place_only(self) -> None:
        stored = encrypt("a-canary", PLACE)

        for elsewhere in (("app.model.column", 2), ("app.model.other", 1), (), None):
            with pytest.raises(DecryptionError, match="another row or column") as error:
                decrypt(stored, elsewhere)
            assert "canary" not in str(error.value)

    @pytest.mark.threat("X8")
    def test_what_was_written_before_texts_had_a_place_is_read_and_no_longer_current(self) -> None:
        key = Fernet.generate_key().decode()
        self._use(key)
        stored = UNBOUND_PREFIX + Fernet(key).encrypt(b"a").decode()

        assert decrypt(stored, PLACE) == "a"
        assert not is_current(stored, PLACE)
        assert is_current(reencrypted(stored, PLACE), PLACE)

    def test_an_unreadable_secret_never_looks_like_a_peer_that_is_down(self) -> None:
        assert not issubclass(DecryptionError, ReciprocalError)
        assert issubclass(DecryptionError, ImproperlyConfigured)
