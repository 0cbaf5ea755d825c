"""Nothing in the environment of the process leads a request elsewhere or signs it anew."""

from pathlib import Path

import pytest
import requests

from reciprocal_oauth.client import http

from ..fakes import FakePeer


@pytest.mark.threat("H1", "H12")
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_not_used(
    variable: str, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = FakePeer()
    monkeypatch.setenv(variable, proxy.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    http.call("POST", f"{fake_peer.url}/token/", data={"code": "c0de"})

    proxy.stop()
    assert len(fake_peer.requests) == 1
    assert proxy.requests == []


@pytest.mark.threat("H1", "H12")
def test_a_proxy_that_a_caller_names_is_not_used(fake_peer: FakePeer) -> None:
    proxy = FakePeer()

    with http.HardenedSession() as session:
        session.proxies = {"http": proxy.url}
        session.post(f"{fake_peer.url}/token/", proxies={"http": proxy.url})

    proxy.stop()
    assert len(fake_peer.requests) == 1
    assert proxy.requests == []


@pytest.mark.threat("H12")
def test_a_netrc_file_does_not_replace_our_credentials(
    fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))

    http.call("POST", f"{fake_peer.url}/token/")
    http.call(
        "POST", f"{fake_peer.url}/token/", auth=requests.auth.HTTPBasicAuth("us", "our-secret")
    )

    first, second = fake_peer.requests
    assert "Authorization" not in first.headers
    assert second.headers["Authorization"] == requests.auth._basic_auth_str("us", "our-secret")
