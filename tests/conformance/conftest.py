"""Subjects of the tester that answer as a test says."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from example_project.servers import HOST, free_ports
from reciprocal_oauth.conformance.wire.exchanges import Exchange, Recorder
from reciprocal_oauth.conformance.wire.server import Received, Reply, Server

Answer = Callable[[Received], Reply]

CONFIG_B = """
[subject]
authorization_endpoint = "{subject}/authorize"
token_endpoint = "{subject}/token"
users = ["alice"]
[subject.at_tester]
client_id = "party-b"
client_secret = "secret-of-party-b"
[tester]
listen = "{tester}"
[tester.at_subject]
client_id = "tester"
client_secret = "secret-of-the-tester"
[waits]
redeem = 0.5
send = 0.5
quiet = 0.3
retry = 0.5
max_wait = 2
person = 1
[driver]
kind = "follow"
[driver.urls]
authorize = "{{url}}"
"""


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Return a function that starts a server, and returns its URL."""
    servers: list[Server] = []

    def start(answer: Answer) -> str:
        def with_exchange(received: Received, exchange: Exchange) -> Reply:
            return answer(received)

        server = Server((HOST, free_ports()[0]), Recorder(), with_exchange, None)
        servers.append(server.__enter__())
        return f"http://{HOST}:{server.port}"

    yield start
    for server in servers:
        server.__exit__()


@pytest.fixture
def config_b(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the configuration of a test of a party B."""

    def write(subject: str, **replaced: Any) -> Path:
        text = CONFIG_B.format(subject=subject, tester=f"{HOST}:{free_ports()[0]}")
        for old, new in replaced.items():
            text = text.replace(old, new)
        path = tmp_path / "b.toml"
        path.write_text(text)
        return path

    return write
