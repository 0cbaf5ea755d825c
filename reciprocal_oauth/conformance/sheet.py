"""Prints what to register at the subject, so that it works with the tester."""

import tomllib
from pathlib import Path

from .config import Config
from .errors import UsageError


def role_of(path: Path) -> str:
    """Tell a configuration for a party A from one for a party B: only A has a redirect URI.

    :raises UsageError: the file cannot be read.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.") from error
    subject = table.get("subject")
    at_tester = subject.get("at_tester") if isinstance(subject, dict) else None
    return "a" if isinstance(at_tester, dict) and "redirect_uri" in at_tester else "b"


def sheet(config: Config) -> str:
    """Return the values to register. They include secrets: it goes to the person who asked."""
    is_a = config.role == "a"
    subject = f"party {config.role.upper()}"
    lines = [f"What to register at {subject} (the tester is party {'B' if is_a else 'A'})"]
    lines += _section(f"The tester as a client of {subject}", _clients(config))
    base = config.base_url
    own = config.subject.at_tester
    lines += _section(
        f"Party {config.role.upper()} as a client of the tester",
        [
            ("authorization endpoint", f"{base}/authorize" if is_a else "not needed"),
            ("token endpoint", f"{base}/token"),
            ("revocation endpoint", f"{base}/revoke"),
            ("API", f"{base}/api"),
            ("issuer", base),
            ("client ID", own.client_id),
            ("client secret", own.client_secret),
            ("authentication", "client_secret_basic or client_secret_post"),
            ("redirect URI", own.redirect_uri if is_a else "not needed"),
            *([("scope", "any, or none"), ("PKCE, iss", "yes")] if is_a else []),
        ],
    )
    lines += _section("Users who are let in at the tester", [("", "everybody, without a page")])
    return "\n".join(lines) + "\n"


def _clients(config: Config) -> list[tuple[str, str]]:
    tester = config.tester
    is_a = config.role == "a"
    rows = [
        ("client ID", tester.client_id),
        ("client secret", tester.client_secret),
        (
            "authentication",
            "client_secret_post" if tester.auth == "body" else "client_secret_basic",
        ),
        ("redirect URI", f"{config.base_url}/callback"),
        ("grants", "authorization_code, refresh_token" + ("" if is_a else ", reciprocal")),
        ("scope that it may ask", tester.scope or "none"),
    ]
    if is_a:
        rows += [("other scope", tester.other_scope), ("agreed scope", tester.agreed_scope)]
    else:
        rows += [
            (f"scope that party {config.role.upper()} asks of it", tester.reciprocal or "none")
        ]
    if tester.second is not None:
        rows += [
            ("second client ID", tester.second.client_id),
            ("second client secret", tester.second.client_secret),
            ("second client", "for the rest as the first one"),
        ]
    return [(name, value) for name, value in rows if value]


def _section(title: str, rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows) + 2
    return ["", title, *(f"  {name:<{width}}{value}".rstrip() for name, value in rows)]
