"""Keeps the tester away from systems that are in use: it sends wrong secrets and broken requests,
and can lock clients out."""

import ipaddress
import socket
from urllib.parse import urlsplit

from .config import Config
from .errors import UsageError

FLAG = "--yes-this-is-a-test-system"


def require_test_system(config: Config, *, is_confirmed: bool, may_use_http: bool) -> None:
    """Refuse a subject that is not on this computer, unless the user says that it is a test system.

    :param is_confirmed: the user gave the flag.
    :param may_use_http: whether ``http`` may be used beyond this computer: secrets are readable.
    :raises UsageError: the subject is elsewhere, or has no address.
    """
    for name, url in config.subject.urls().items():
        if _is_on_this_computer(urlsplit(url).hostname or "", name):
            continue
        if not is_confirmed:
            raise UsageError(
                f"subject.{name} is {url}, which is not on this computer. The tester sends wrong "
                "secrets and broken requests, and may lock clients out. If nobody uses the system, "
                f"add {FLAG}."
            )
        if urlsplit(url).scheme == "http" and not may_use_http:
            raise UsageError(
                f"subject.{name} is {url}: http beyond this computer shows secrets to the network. "
                "Use https, or add --insecure-http."
            )


def _is_on_this_computer(host: str, name: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"subject.{name}: the host {host} has no address: {error}.") from error
    return all(ipaddress.ip_address(str(each[4][0])).is_loopback for each in found)
