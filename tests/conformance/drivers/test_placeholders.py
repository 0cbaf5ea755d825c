"""Values come into texts as they are, and into URLs percent-encoded."""

import pytest

from reciprocal_oauth.conformance.drivers.journeys import JourneyFailed
from reciprocal_oauth.conformance.drivers.placeholders import put_in, put_in_url, require_known
from reciprocal_oauth.conformance.errors import UsageError

REQUEST = "http://b.example/authorize?client_id=x"


def test_a_value_is_percent_encoded_in_a_url() -> None:
    template = "http://a.example/link?user={user}&scopes={scopes}"

    url = put_in_url(template, {"user": "al&ice/1", "scopes": "read write"})

    assert url == "http://a.example/link?user=al%26ice%2F1&scopes=read%20write"


def test_the_url_at_the_beginning_stays_as_it_is() -> None:
    assert put_in_url("{url}", {"url": REQUEST}) == REQUEST
    assert (
        put_in_url("{url}&user={user}", {"url": REQUEST, "user": "ä"}) == f"{REQUEST}&user=%C3%A4"
    )


def test_a_url_without_a_query_gets_a_question_mark() -> None:
    values = {"url": "http://b.example/authorize", "user": "alice"}

    assert put_in_url("{url}&user={user}", values) == "http://b.example/authorize?user=alice"


def test_a_url_at_another_place_is_percent_encoded() -> None:
    url = put_in_url("http://a.example/open?to={url}", {"url": REQUEST})

    assert url == "http://a.example/open?to=http%3A%2F%2Fb.example%2Fauthorize%3Fclient_id%3Dx"


def test_a_text_takes_values_as_they_are() -> None:
    assert put_in('{user} may {scopes} {"a": 1}', {"user": "a&b", "scopes": "read write"}) == (
        'a&b may read write {"a": 1}'
    )


def test_a_value_with_braces_is_not_a_template() -> None:
    assert put_in("{user}", {"user": "{url}", "url": "x"}) == "{url}"


def test_a_missing_value_says_where_it_belongs() -> None:
    with pytest.raises(JourneyFailed, match=r"driver\.users\.bob\.password is missing"):
        put_in("{password}", {"user": "bob"})


def test_an_unknown_placeholder_names_the_nearest_known_one() -> None:
    with pytest.raises(UsageError, match=r"driver\.x has the unknown placeholder \{usr\}.*Is user"):
        require_known("driver.x", "{usr}", ("user", "scopes"))
