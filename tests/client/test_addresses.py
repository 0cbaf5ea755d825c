"""Which addresses are called, and that no other is ever connected to."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from reciprocal_oauth.client import http
from reciprocal_oauth.client.addresses import resolve
from reciprocal_oauth.core.networks import is_allowed
from reciprocal_oauth.core.special_networks import IPV4, IPV6, NETWORKS
from reciprocal_oauth.exceptions import AddressRefused, PeerUnreachable

from ..fakes import FakePeer
from ..names import Names
from .servers import RawServer, answering

NEVER_CALLED = {
    "loopback": "127.0.0.1",
    "loopback elsewhere in 127/8": "127.8.9.10",
    "this host": "0.0.0.0",
    "private 10/8": "10.0.0.1",
    "private 172.16/12": "172.31.255.254",
    "private 192.168/16": "192.168.1.1",
    "link-local, where clouds keep credentials": "169.254.169.254",
    "carrier-grade NAT": "100.64.0.1",
    "benchmarking": "198.18.0.1",
    "documentation": "203.0.113.5",
    "multicast": "224.0.0.1",
    "broadcast": "255.255.255.255",
    "reserved": "240.0.0.1",
    "IPv6 loopback": "::1",
    "IPv6 unspecified": "::",
    "IPv6 unique local": "fd12:3456::1",
    "IPv6 link-local": "fe80::1",
    "IPv6 link-local with a zone": "fe80::1%eth0",
    "IPv6 site-local": "fec0::1",
    "IPv6 multicast": "ff02::1",
    "IPv6 documentation": "2001:db8::1",
    "IPv4-mapped private": "::ffff:10.0.0.1",
    "IPv4-mapped loopback": "::ffff:127.0.0.1",
    "IPv4-compatible private": "::10.0.0.1",
    "NAT64 of a private address": "64:ff9b::a00:1",
    "local NAT64": "64:ff9b:1::a00:1",
    "6to4 of a private address": "2002:a00:1::",
    "Teredo": "2001:0:a00:1::1",
    "IPv4-translated private": "::ffff:0:10.0.0.1",
    "the host of a virtual machine in Azure": "168.63.129.16",
    "the same, mapped": "::ffff:168.63.129.16",
    "6to4 relay": "192.88.99.1",
    "AS112": "192.175.48.1",
    "IPv6 documentation of 2024": "3fff::1",
    "its last address": "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
    "ORCHID": "2001:10::1",
    "ORCHIDv2": "2001:20::1",
    "drones": "2001:30::1",
    "ISATAP of a private address": "2a00:1450:1::5efe:10.0.0.1",
    "ISATAP of a public address": "2a00:1450:1::200:5efe:93.184.216.34",
    "segment routing": "5f00::1",
}


@pytest.fixture(autouse=True)
def _no_loopback(settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {"DISPATCHER": "none", "HTTP_ALLOW_LOOPBACK": False}


@pytest.mark.threat("H1", "D4")
@pytest.mark.parametrize("address", NEVER_CALLED.values(), ids=NEVER_CALLED.keys())
def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(
    address: str, names: Names, connected_to: list[Any]
) -> None:
    names.resolve("peer.example", address)

    with pytest.raises(AddressRefused):
        http.call("POST", "https://peer.example/token/", data={"code": "c0de"})

    assert connected_to == []


@pytest.mark.threat("H80")
@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_no_address_of_a_special_network_is_called(network: Any) -> None:
    assert not is_allowed(str(network[0]))
    assert not is_allowed(str(network[-1]))


@pytest.mark.threat("H80")
def test_the_registries_are_whole() -> None:
    assert (len(IPV4), len(IPV6)) == (26, 25)


@pytest.mark.threat("H1")
@pytest.mark.allow_hosts(["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1", "::1", "::"])
@pytest.mark.parametrize(
    ("address", "listening"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("::", "::1"),
    ],
)
def test_a_server_on_this_machine_is_not_even_connected_to(
    address: str, listening: str, names: Names, serve: Callable[..., RawServer]
) -> None:
    server = serve(answering(b"HTTP/1.1 200 OK\r\n\r\n"), host=listening)
    names.resolve("peer.example", address)
    # That it could be: each of these addresses leads to it.
    with socket.create_connection((address, server.port)) as control:
        control.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert control.recv(1)

    for host in ("peer.example", f"[{address}]" if ":" in address else address):
        with pytest.raises(AddressRefused):
            http.call("POST", f"https://{host}:{server.port}/token/", data={"code": "c0de"})

    assert server.connections == 1


@pytest.mark.threat("H1")
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0",
        "167772161",
        "127%2e0%2e0%2e1",
        "\uff11\uff12\uff17.0.0.1",
        "LOCALHOST",
        "[::ffff:a00:1]",
        "[::ffff:7f00:1]",
        "[::]",
    ],
)
def test_an_address_is_refused_however_it_is_written(host: str, connected_to: list[Any]) -> None:
    with pytest.raises(AddressRefused):
        http.call("POST", f"https://{host}/token/", data={"code": "c0de"})

    assert connected_to == []


@pytest.mark.threat("H1")
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1.",
        "localhost.",
        "[fe80::1%25lo]",
        "[fe80::1%lo]",
        "[::1%25lo]",
        "[::1%251]",
        "[::1%25]",
    ],
)
def test_an_address_with_something_behind_it_is_refused_or_leads_nowhere(
    host: str, connected_to: list[Any]
) -> None:
    with pytest.raises((AddressRefused, PeerUnreachable)):
        http.call("POST", f"https://{host}/token/", data={"code": "c0de"})

    assert connected_to == []


@pytest.mark.threat("H1")
def test_one_bad_address_among_good_ones_is_enough(names: Names, connected_to: list[Any]) -> None:
    names.resolve("peer.example", ["93.184.216.34", "10.0.0.1"])

    with pytest.raises(AddressRefused):
        http.call("GET", "https://peer.example/")

    assert connected_to == []


@pytest.mark.threat("H1")
def test_a_name_is_looked_up_once_and_the_checked_address_connected_to(
    names: Names, fake_peer: FakePeer, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = {"HTTP_ALLOW_LOOPBACK": True}
    names.resolve("peer.localhost", "127.0.0.1", "10.0.0.1")
    port = fake_peer.url.rpartition(":")[2]

    response = http.call("POST", f"http://peer.localhost:{port}/token/")

    assert response.status == 200
    assert names.asked == ["peer.localhost"]
    assert fake_peer.requests[0].headers["Host"] == f"peer.localhost:{port}"


@pytest.mark.threat("H1")
def test_each_exchange_looks_the_name_up_anew(
    names: Names, fake_peer: FakePeer, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = {"HTTP_ALLOW_LOOPBACK": True}
    names.resolve("peer.localhost", "127.0.0.1", "10.0.0.1")
    url = f"http://peer.localhost:{fake_peer.url.rpartition(':')[2]}/token/"
    http.call("POST", url)

    with pytest.raises(AddressRefused):
        http.call("POST", url)

    assert len(fake_peer.requests) == 1


@pytest.mark.threat("H3", "R8")
@pytest.mark.parametrize("address", ["93.184.216.34", "10.20.3.4", "2606:2800:220:1::1"])
def test_what_goes_in_clear_stays_on_this_machine_wherever_its_name_leads(
    address: str, names: Names, connected_to: list[Any], settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = {
        "HTTP_ALLOW_LOOPBACK": True,
        "HTTP_ALLOWED_NETWORKS": ["10.20.0.0/16"],
    }
    names.resolve("peer.localhost", ["127.0.0.1", address])

    with pytest.raises(AddressRefused, match="without TLS"):
        http.call("POST", "http://peer.localhost/token/", data={"code": "c0de"})

    assert connected_to == []


@pytest.mark.parametrize(
    "address",
    [
        "93.184.216.34",
        "168.63.129.17",
        "192.88.98.255",
        "223.255.255.255",
        "2606:2800:220:1:248:1893:25c8:1946",
        "::ffff:93.184.216.34",
        "2001:200::1",
        "3fff:1000::1",
        "2a00:1450:1::5eff:10.0.0.1",
    ],
)
def test_public_addresses_are_called(address: str, names: Names) -> None:
    names.resolve("peer.example", address)

    assert resolve("peer.example", 443) == [address]


def test_a_private_network_that_the_settings_allow_is_called(
    names: Names, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = {"HTTP_ALLOWED_NETWORKS": ["10.20.0.0/16", "fd00:20::1"]}
    names.resolve("near.example", ["10.20.3.4", "fd00:20::1", "::ffff:10.20.0.9"])
    names.resolve("far.example", "10.21.0.1")

    assert len(resolve("near.example", 443)) == 3
    with pytest.raises(AddressRefused, match=r"10\.21\.0\.1"):
        resolve("far.example", 443)


def test_a_network_that_cannot_be_read_is_our_fault_and_not_the_peers(
    names: Names, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = {"HTTP_ALLOWED_NETWORKS": ["10.20.0.0/99"]}
    names.resolve("peer.example", "10.20.0.1")

    with pytest.raises(ImproperlyConfigured, match="HTTP_ALLOWED_NETWORKS"):
        http.call("GET", "https://peer.example/")


@pytest.mark.threat("R9")
@pytest.mark.parametrize("host", ["no-such-name.invalid", f"{'x' * 64}.example", "a..example"])
def test_a_name_that_does_not_resolve_is_a_peer_that_is_not_there(host: str) -> None:
    with pytest.raises((PeerUnreachable, AddressRefused)) as caught:
        http.call("GET", f"https://{host}/?code=c0de")

    assert "c0de" not in str(caught.value)


def test_an_ipv6_peer_is_called(settings: Settings, serve: Any) -> None:
    settings.RECIPROCAL_OAUTH = {"HTTP_ALLOW_LOOPBACK": True}
    server = serve(lambda s: s.sendall(b"HTTP/1.1 204 No Content\r\n\r\n"), host="::1")

    assert http.call("GET", f"{server.url}/").status == 204
