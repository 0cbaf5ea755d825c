"""The string that one administrator gives to another one."""

import re

import pytest
from pytest_django import Settings

from reciprocal_oauth.exceptions import PairingError
from reciprocal_oauth.pairing import invitation, inviting

from .other_site import OUR_ISSUER, terms

CODE = "c" * 43
PAGE = "https://site.example/connections/pair/"
GOOD = f"{PAGE}#v=1&iss=https%3A%2F%2Fsite.example%2Fo&code={CODE}"


@pytest.mark.django_db
def test_what_is_invited_with_is_what_is_read() -> None:
    _pairing, text = inviting.invite(terms())

    read = invitation.read(text.reveal())

    assert read.issuer == OUR_ISSUER
    assert text.reveal().endswith(read.code.reveal())
    assert read.code.reveal() not in repr(read)
    assert text.reveal().startswith("https://testserver/connections/pair/#v=1&iss=")


@pytest.mark.parametrize(
    "pasted",
    [
        f"  {GOOD}\n",
        f"<{GOOD}>",
        GOOD[:60] + "\r\n " + GOOD[60:],
        GOOD.replace("#", "#\u00a0"),
        f"{PAGE}#code={CODE}&v=1&iss=https://site.example/o",
        GOOD.replace("https://", "HTTPS://"),
        GOOD.replace("site.example", "site.example:443", 1),
    ],
)
def test_blanks_line_breaks_and_brackets_do_not_matter(pasted: str) -> None:
    read = invitation.read(pasted)

    assert (read.issuer, read.code.reveal()) == ("https://site.example/o", CODE)


BAD = {
    "nothing": "",
    "the page alone": PAGE,
    "no code": f"{PAGE}#v=1&iss=https://site.example/o",
    "no issuer": f"{PAGE}#v=1&code={CODE}",
    "no version": f"{PAGE}#iss=https://site.example/o&code={CODE}",
    "another version": GOOD.replace("v=1", "v=2"),
    "two codes": f"{GOOD}&code={CODE}",
    "two issuers": f"{GOOD}&iss=https://site.example/o",
    "two issuers and no version": GOOD.replace("v=1", "iss=https://site.example/o"),
    "a further member": f"{GOOD}&to=https://evil.example/",
    "a short code": GOOD[:-1],
    "a long code": f"{GOOD}c",
    "a code with another character": GOOD[:-1] + "!",
    "a code with a letter that is not ASCII": GOOD[:-1] + "é",
    "a query instead of a fragment": GOOD.replace("#", "?"),
    "plain http": GOOD.replace("https", "http"),
    "a file": GOOD.replace("https://site.example/connections", "file:///etc"),
    "another site in the issuer": GOOD.replace("%2F%2Fsite", "%2F%2Fevil"),
    "another port in the issuer": GOOD.replace("example%2Fo", "example%3A8443%2Fo"),
    "another scheme in the issuer": GOOD.replace("iss=https", "iss=http"),
    "a user name in the page": GOOD.replace("//site", "//site.example@evil", 1),
    "a user name in both": GOOD.replace("site.example", "bank.example@site.example"),
    "a backslash": GOOD.replace("site.example", "site.example\\.evil.example"),
    "a host that looks like another one": GOOD.replace("site", "s\u0456te"),
    "a host of wide letters": GOOD.replace("site", "\uff53\uff49\uff54\uff45"),
    "an ideographic full stop": GOOD.replace("site.example", "site\u3002example"),
    "an invisible character": GOOD.replace("site", "si\u200bte"),
    "a text that is written from right to left": GOOD.replace("site", "si\u202ete"),
    "a query in the issuer": GOOD.replace("%2Fo&", "%2Fo%3Fa%3Db&"),
    "a fragment in the issuer": GOOD.replace("%2Fo&", "%2Fo%23a&"),
    "a line break in the issuer": GOOD.replace("%2Fo&", "%2Fo%0A&"),
    "port 0": GOOD.replace("site.example", "site.example:0"),
    "a port that is none": GOOD.replace("site.example", "site.example:x"),
    "half of an address with brackets": GOOD.replace("site.example", "[::1"),
    "an issuer that is too long to store": GOOD.replace("%2Fo&", "%2F" + "o" * 490 + "&"),
    "2001 characters": GOOD.replace("pair/", "pair/" + "p" * (2001 - len(GOOD))),
    "a megabyte": GOOD + " " * 1_000_000 + "&x=y",
}


@pytest.mark.threat("PA5", "PA7", "PA8")
@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_string_that_is_wrong_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(PairingError) as refused:
        invitation.read(text)

    assert refused.value.field == "invitation"
    assert CODE[:20] not in str(refused.value)


@pytest.mark.threat("PA5")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1.2.3:8000"])
def test_this_machine_is_no_other_site(host: str, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "HTTP_ALLOW_LOOPBACK": False}
    text = re.sub("https(.{3}|%3A%2F%2F)site.example", f"http\\1{host}", GOOD)

    with pytest.raises(PairingError):
        invitation.read(text)
