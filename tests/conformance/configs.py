"""The configurations of the small parties and of the tester, so that they fit together."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from example_project.servers import HOST

#: Whether tests run all checks where some show the same.
WHOLE_RUNS: Final = bool(os.environ.get("CONFORMANCE_WHOLE_RUNS"))
#: Client IDs and secrets have the characters that must be form-encoded in the header Basic.
TESTER: Final = {"client_id": "tester:1", "client_secret": "tester+secret:%41/&="}
SECOND: Final = {"client_id": "second tester", "client_secret": "second+secret:%42"}
PARTY: Final = {"client_id": "party/1", "client_secret": "party+secret:%43="}
USERS: Final = ("alice", "bob")
#: What the page of the small party A says when it asks for consent.
QUESTION: Final = "May the other site"
#: Seconds. They are short, as both processes run on this computer.
WAITS: Final = {
    "redeem": 6,
    "send": 6,
    "quiet": 1,
    "retry": 8,
    "max_wait": 10,
    "code_lifetime": 60,
    "person": 10,
}


@dataclass(frozen=True)
class Place:
    """Where the party and the tester run.

    :ivar folder: has the files of the party, and the certificates of the tester.
    """

    folder: Path
    party_port: int
    tester_port: int
    has_tls: bool = False

    @property
    def party(self) -> str:
        return f"http://{HOST}:{self.party_port}"

    @property
    def tester(self) -> str:
        return f"http{'s' if self.has_tls else ''}://{HOST}:{self.tester_port}"


def party_config(role: str, place: Place) -> dict[str, Any]:
    """Return the configuration of the small party."""
    scope = "read write extra" if role == "a" else "read write"
    return {
        "port": place.party_port,
        "issuer": place.party,
        "clients": [
            {
                "id": client["client_id"],
                "secret": client["client_secret"],
                "redirect_uris": [f"{place.tester}/callback"],
                "scope": scope,
            }
            for client in (TESTER, SECOND)
        ],
        "retry_delays": [0.3, 0.3],
        "timeout": 2,
        "ca": str(place.folder / "ca.pem") if place.has_tls else "",
        **(_config_of_a(place) if role == "a" else _config_of_b(place)),
    }


def _config_of_a(place: Place) -> dict[str, Any]:
    peer = {
        **PARTY,
        "id_here": TESTER["client_id"],
        "issuer": place.tester,
        "authorization_endpoint": f"{place.tester}/authorize",
        "token_endpoint": f"{place.tester}/token",
        "revocation_endpoint": f"{place.tester}/revoke",
        "scope": "play",
        "agreed_scope": "read",
    }
    return {
        "peer": peer,
        "redirect_uri": f"{place.party}/callback",
        "users": {user: f"password of {user}" for user in USERS},
    }


def _config_of_b(place: Place) -> dict[str, Any]:
    peer = {
        **PARTY,
        "token_endpoint": f"{place.tester}/token",
        "revocation_endpoint": f"{place.tester}/revoke",
        "api": f"{place.tester}/api",
        "scope": "profile contacts",
    }
    return {"peer": peer}


def tester_config(role: str, place: Place, waits: Mapping[str, float]) -> str:
    """Return the configuration of the tester, as TOML."""
    api = [{"url": f"{place.party}/api/{scope}", "scope": scope} for scope in ("read", "write")]
    subject: dict[str, Any] = {
        "issuer": place.party,
        "authorization_endpoint": f"{place.party}/authorize",
        "token_endpoint": f"{place.party}/token",
        "revocation_endpoint": f"{place.party}/revoke",
        "api": api,
        "users": list(USERS),
        "at_tester": dict(PARTY),
    }
    at_subject: dict[str, Any] = {**TESTER, "scope": "read write", "second": SECOND}
    if role == "a":
        subject["checks_iss"] = True
        subject["api"] = [*api, {"url": f"{place.party}/api/extra", "scope": "extra"}]
        subject["at_tester"]["redirect_uri"] = f"{place.party}/callback"
        at_subject.update(other_scope="extra", agreed_scope="read")
    else:
        at_subject["reciprocal"] = "profile contacts"
    tester: dict[str, Any] = {
        "listen": f"{HOST}:{place.tester_port}",
        "at_subject": at_subject,
    }
    if place.has_tls:
        names = {"tls_cert": "tester.pem", "tls_key": "tester.key", "ca": "ca.pem"}
        tester.update({key: str(place.folder / name) for key, name in names.items()})
    driver = _driver_of_a(place) if role == "a" else _driver_of_b(place)
    tables = {"subject": subject, "tester": tester, "waits": {**WAITS, **waits}, "driver": driver}
    return "\n".join(f"{name} = {toml(value)}" for name, value in tables.items())


def _driver_of_a(place: Place) -> dict[str, Any]:
    sign_in = {"user": "{user}", "password": "{password}"}
    return {
        "kind": "forms",
        "users": {user: {"password": f"password of {user}"} for user in USERS},
        "steps": {
            "sign_in": [{"open": f"{place.party}/login", "fill": sign_in, "press": "Sign in"}],
            "link": [{"open": f"{place.party}/"}, {"press": "Link"}],
            "allow": [{"if": QUESTION, "tick": {"scope": "{scopes}"}, "press": "Allow"}],
            "deny": [{"if": QUESTION, "press": "Deny"}],
            "update": [
                {"open": f"{place.party}/access"},
                {"tick": {"scope": "{scopes}"}, "press": "Save"},
            ],
            "authorize": [{"open": "{url}"}, {"press": "Allow"}],
            "end": [{"open": f"{place.party}/"}, {"if": "Disconnect", "press": "Disconnect"}],
        },
    }


def _driver_of_b(place: Place) -> dict[str, Any]:
    urls = {
        "authorize": "{url}&user={user}",
        "use": f"{place.party}/use?user={{user}}",
        "end": f"{place.party}/end?user={{user}}",
    }
    return {"kind": "follow", "urls": urls}


def toml(value: object) -> str:
    """Return a value as TOML on one line."""
    if isinstance(value, Mapping):
        members = (f"{json.dumps(name)} = {toml(each)}" for name, each in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)
