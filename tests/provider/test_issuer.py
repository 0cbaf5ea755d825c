"""The issuer in authorization responses: once, ours, and nothing else is lost."""

import pytest

from reciprocal_oauth.provider.issuer import add_issuer

pytestmark = pytest.mark.rfc("9207", "2")

OURS = "https%3A%2F%2Fus.example%2Fo"


@pytest.mark.parametrize(
    ("response", "sent"),
    [
        ("?code=c&state=s", f"?code=c&state=s&iss={OURS}"),
        ("", f"?iss={OURS}"),
        ("#access_token=t&state=s", f"#access_token=t&state=s&iss={OURS}"),
        ("?of=client#access_token=t", f"?of=client#access_token=t&iss={OURS}"),
        ("?iss=https://evil.example&code=c", f"?code=c&iss={OURS}"),
        ("#iss=https://evil.example", f"#iss={OURS}"),
        (f"?code=c&iss={OURS}", f"?code=c&iss={OURS}"),
    ],
)
def test_it_is_added_where_the_response_is(response: str, sent: str) -> None:
    uri = add_issuer(f"https://client.example/callback{response}", "https://us.example/o")

    assert uri == f"https://client.example/callback{sent}"
