"""The configuration of the tester for an example site: its addresses, and what users do."""

from typing import Any, Final

from example_project.servers import HOST

from ..configs import toml
from .lives import ACCESS_TOKEN_SECONDS
from .sites import NAME, OTHER_SCOPE, USERS, Credentials, Subject

#: Addresses of each site, and the scope that they need.
_API: Final = {
    "a": {
        "api/whoami/": "",
        "api/now-playing/": "now-playing",
        "api/profile/": "profile",
        "api/reciprocal/links/": OTHER_SCOPE,
    },
    "b": {"api/whoami/": "", "api/player/": "playback", "api/history/": "history"},
}


def tester_config(subject: Subject) -> str:
    """Return the configuration of the tester, as TOML."""
    site = subject.site
    tables = {
        "subject": {
            # The endpoints are in its metadata.
            "issuer": site.issuer,
            "api": [
                {"url": f"{site.url}/{path}", **({"scope": scope} if scope else {})}
                for path, scope in _API[subject.role].items()
            ],
            "users": list(USERS),
            "at_tester": _client(subject.site_at_tester),
        },
        "tester": {
            "listen": f"{HOST}:{subject.tester_port}",
            "tls_cert": str(subject.folder / "tester.pem"),
            "tls_key": str(subject.folder / "tester.pem"),
            "at_subject": {
                **_client(subject.tester_at_site),
                "scope": " ".join(site.role.scopes),
                "second": _client(subject.second),
            },
        },
        "waits": {
            # The default of the site.
            "code_lifetime": 60,
            # With --slow, access tokens end while the tester waits.
            "max_wait": ACCESS_TOKEN_SECONDS + 10,
        },
        "driver": {
            "kind": "forms",
            "users": {user: {"password": user} for user in USERS},
            "steps": _steps_of_a(site.url) if subject.role == "a" else _steps_of_b(site.url),
        },
    }
    _add_what_only_one_has(subject, tables)
    return "\n".join(f"{name} = {toml(table)}" for name, table in tables.items())


def _client(credentials: Credentials) -> dict[str, Any]:
    return {"client_id": credentials.client_id, "client_secret": credentials.client_secret}


def _add_what_only_one_has(subject: Subject, tables: dict[str, Any]) -> None:
    at_subject = tables["tester"]["at_subject"]
    if subject.role == "b":
        at_subject["reciprocal"] = subject.site.role.reciprocal_scope
        return
    at_subject["other_scope"] = OTHER_SCOPE
    at_subject["agreed_scope"] = subject.site.role.preconfigured_scope
    tables["subject"]["checks_iss"] = True
    tables["subject"]["at_tester"]["redirect_uri"] = subject.callback


# --- What a person does ------------------------------------------------------------------------

_FILL: Final = {"username": "{user}", "password": "{password}"}
_END_ONE: Final = (
    {"if": "Your connections", "follow": f"Disconnect: {NAME}"},
    {"if": f"Disconnect {NAME}?", "press": "Disconnect"},
)
#: Each visit at party B makes a connection of its own, and all of them have to end.
_MOST_CONNECTIONS: Final = 40


def _both(site: str) -> dict[str, Any]:
    """Return the steps that both sites have."""
    return {
        "sign_in": [{"open": f"{site}/accounts/login/", "fill": _FILL, "press": "Sign in"}],
        "authorize": [{"open": "{url}"}, {"press": "Allow"}],
        "end": [{"open": f"{site}/connections/"}, *_END_ONE * _MOST_CONNECTIONS],
    }


def _steps_of_a(site: str) -> dict[str, Any]:
    return {
        **_both(site),
        "link": [{"open": f"{site}/connections/"}, {"press": f"Connect {NAME}"}],
        "allow": [{"form": "/consent/", "tick": {"scopes": "{scopes}"}, "press": "Allow"}],
        "deny": [{"form": "/consent/", "press": "Do not allow"}],
        "update": [
            {"open": f"{site}/connections/"},
            {"follow": f"Change what {NAME} may do"},
            {"form": "/scopes/", "tick": {"scopes": "{scopes}"}, "press": "Save"},
        ],
    }


def _steps_of_b(site: str) -> dict[str, Any]:
    return {
        **_both(site),
        # Each track is reported to the assistant of the user.
        "use": [
            {"open": f"{site}/"},
            {"if": "Next track", "press": "Next track"},
            {"if": "Nothing is playing", "press": "Play a track"},
        ],
    }
