"""Scope values as ordered sets, and what of a peer's text is believed to be one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reciprocal_oauth.core import scopes
from reciprocal_oauth.presentation.permissions import in_scope_words

TABLE: list[tuple[Any, list[str] | None]] = [
    ("play", ["play"]),
    ("play read", ["play", "read"]),
    ("read play read", ["read", "play"]),
    ("  play   read ", ["play", "read"]),
    ("", []),
    ("   ", []),
    ("https://peer.example/auth/play", ["https://peer.example/auth/play"]),
    ("!#[]~", ["!#[]~"]),
    ('"quoted"', None),
    ("back\\slash", None),
    ("play\tread", None),
    ("play\nread", None),
    ("play\x00", None),
    ("pläy", None),
    ("play\u00a0read", None),
    ("\ud800", None),
    ("x" * 4096, ["x" * 4096]),
    ("x" * 4097, None),
    (None, None),
    (5, None),
    (True, None),
    (["play"], None),
    ({"play": 1}, None),
    (b"play", None),
]


@pytest.mark.rfc("6749", "3.3")
@pytest.mark.threat("S2")
@pytest.mark.parametrize(("value", "tokens"), TABLE, ids=lambda each: str(each)[:30])
def test_what_is_a_scope(value: Any, tokens: list[str] | None) -> None:
    assert scopes.parse(value) == tokens


READ: list[tuple[Any, list[str] | None]] = [
    *(each for each in TABLE if not isinstance(each[0], list)),
    ("repo,gist", ["repo", "gist"]),
    ("email, public_profile", ["email", "public_profile"]),
    ("a,,b,", ["a", "b"]),
    (",", []),
    ("boards:read,write other", ["boards:read,write", "other"]),
    (["play", "read"], ["play", "read"]),
    (["play read"], ["play", "read"]),
    ([], []),
    (["play", 5], None),
    ([["play"]], None),
    (['"play"'], None),
    (["x" * 4000] * 2, None),
    ("a," * 4000, None),
]


@pytest.mark.threat("S2", "T64")
@pytest.mark.parametrize(("value", "tokens"), READ, ids=lambda each: str(each)[:30])
def test_what_the_scope_of_a_token_response_is_read_as(
    value: Any, tokens: list[str] | None
) -> None:
    assert scopes.read(value) == tokens


@pytest.mark.parametrize(
    ("value", "limits", "cut"),
    [
        ("a b c", ["c a"], "a c"),
        ("a b c", ["a b", "b c"], "b"),
        ("a b", [["b"]], "b"),
        ("a b", [{"b": "described"}], "b"),
        ("a", [""], ""),
        ("", ["a"], ""),
        ("a a b", [], "a b"),
        ("ab", ["a b"], ""),
        ("A", ["a"], ""),
    ],
)
@pytest.mark.threat("S1")
def test_cutting_keeps_the_order_and_only_what_every_limit_has(
    value: str, limits: list[Any], cut: str
) -> None:
    assert scopes.cut(value, *limits) == cut


_scope = st.lists(st.sampled_from("abcdef"), max_size=8).map(" ".join)


@pytest.mark.threat("S1")
@hypothesis_settings(deadline=None)
@given(value=_scope, first=_scope, second=_scope)
def test_nothing_is_ever_more_than_its_limits(value: str, first: str, second: str) -> None:
    found = set(scopes.cut(value, first, second).split())

    assert found == set(value.split()) & set(first.split()) & set(second.split())


def test_openid_is_taken_out_of_what_a_reciprocal_grant_may_carry() -> None:
    assert scopes.without_openid("openid2 openid x") == "openid2 x"


HERE, THERE = "Access that this site calls “play”", "Access that the other site calls “play”"


@pytest.mark.parametrize(
    ("described", "here", "there"),
    [
        ({"play": "Play music"}, "Play music", "Play music"),
        ({"play": ""}, HERE, THERE),
        ({"play": " "}, HERE, THERE),
        ({}, HERE, THERE),
    ],
)
def test_a_scope_that_nobody_has_described_says_whose_name_it_is(
    described: dict[str, str], here: str, there: str
) -> None:
    assert scopes.in_words("play", described) == here
    assert scopes.in_words("play", described, of_peer=True) == there
    [permission] = in_scope_words("play", described)
    assert (permission.name, permission.text) == ("play", here)
    assert permission.is_name is (here == HERE)
