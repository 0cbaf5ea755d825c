"""The words on the wire, spelt out: every other test takes them from the module."""

import pytest

from reciprocal_oauth.core import protocol


@pytest.mark.draft("IANA Considerations")
def test_the_parameter_and_the_urn_are_those_that_are_registered() -> None:
    assert protocol.RECIPROCAL == "reciprocal"
    assert protocol.GRANT_TYPE == "urn:ietf:params:oauth:grant-type:reciprocal"


@pytest.mark.draft("Reciprocal Authorization Code")
def test_the_four_parameters_are_those_of_the_draft() -> None:
    assert protocol.PARAMETERS == ("grant_type", "code", "client_id", "access_token")
