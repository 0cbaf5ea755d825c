"""What schemathesis finds by the schema: requests that keep to it, and requests that do not.

The same requests in every run. ``API_EXAMPLES`` asks for more of them than usual.
"""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, Phase, settings
from pytest_django import Settings

from reciprocal_oauth.models import Link, OutboxItem, Peer
from reciprocal_oauth.secret import Secret

from .conftest import Api
from .schema import schema_in_json

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: .[schemathesis]")
pytest.importorskip("drf_spectacular", reason="needs drf-spectacular: .[openapi]")

EXAMPLES = int(os.environ.get("API_EXAMPLES", "25"))

STATES = [
    {"incoming_state": "active", "incoming_scope": "profile"},
    {"incoming_state": "offered", "offered_scope": "profile playback"},
    {"incoming_state": "broken", "incoming_scope": "profile", "incoming_reason": "unreachable"},
    {"outgoing_state": "broken", "outgoing_reason": "refresh_refused", "subject": "42"},
    {"status": "ended", "incoming_state": "ended", "outgoing_state": "ended"},
]


@pytest.fixture(scope="module")
def raw_schema() -> Any:
    return json.loads(schema_in_json())


@pytest.fixture
def links(user: Any, make_peer: Callable[..., Peer]) -> list[Link]:
    """One in each state."""
    made = []
    for number, values in enumerate(STATES):
        link = Link.objects.create(
            **{
                "user": user,
                "peer": make_peer(f"peer-{number}"),
                "account_key": "x",
                "outgoing_state": "active",
                "access_token": Secret("token-of-the-peer"),
                **values,
            }
        )
        OutboxItem.objects.create(peer=link.peer, link=link, state="failed", reason="unreachable")
        made.append(link)
    return made


@pytest.fixture
def api_schema(raw_schema: Any, links: list[Link], site: Settings) -> Any:
    site.REST_FRAMEWORK = {
        "DEFAULT_THROTTLE_RATES": {
            f"reciprocal-{kind}": None for kind in ("read", "write", "connect")
        }
    }
    site.RECIPROCAL_OAUTH = {**site.RECIPROCAL_OAUTH, "API_RETURN_TO": ["https://front.example"]}
    schema = schemathesis.openapi.from_dict(raw_schema)
    schema.app = WSGIHandler()
    # The test puts good credentials into each request, also into those that are to have none:
    # what comes of bad ones is in test_authentication.
    schema.config.generation.with_security_parameters = False
    schema.config.checks.ignored_auth.enabled = False
    return schema


@pytest.fixture(autouse=True)
def named(request: pytest.FixtureRequest) -> None:
    """schemathesis 4.32 looks for the name of a test where pytest 9.2 keeps it no longer."""
    if not hasattr(request.node, "_nodeid"):
        request.node._nodeid = request.node.nodeid


schema = schemathesis.pytest.from_fixture("api_schema")


@pytest.fixture
def credentials(api: Api, browser: Client) -> Callable[[str], dict[str, dict[str, str]]]:
    """The headers or cookies with which a route takes a request."""
    token = "a" * 32
    session = {
        "headers": {"X-CSRFToken": token},
        "cookies": {"sessionid": browser.cookies["sessionid"].value, "csrftoken": token},
    }
    return lambda path: session if path.endswith("/connect/") else {"headers": api.headers}


@pytest.fixture
def real_ids(links: list[Link]) -> Iterator[str]:
    """The ids of the links, for ever; hardly any request would meet one by chance."""
    return itertools.cycle(str(link.pk) for link in links)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_api_keeps_to_its_schema(
    case: Any, credentials: Callable[[str], dict[str, Any]], real_ids: Iterator[str]
) -> None:
    if "id" in case.path_parameters:
        case.path_parameters["id"] = next(real_ids)
    elif "slug" in case.path_parameters:
        case.path_parameters["slug"] = "peer-0"
    case.call_and_validate(**credentials(case.path))
    assert not connection.needs_rollback
