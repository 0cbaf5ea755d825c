"""The configuration of a run: a TOML file, read into values that do not change."""

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from .dialect import Dialect
from .errors import UsageError
from .tables import flag_of, number_of, only_known, table_of, text_of, with_environment

DEFAULT_LISTEN: Final = "127.0.0.1:8765"


@dataclass(frozen=True)
class Client:
    """A client ID and its secret."""

    client_id: str
    client_secret: str = field(repr=False)

    def with_wrong_secret(self) -> "Client":
        """Return the client with a secret whose last character is wrong."""
        last = "x" if self.client_secret[-1:] != "x" else "y"
        return Client(self.client_id, self.client_secret[:-1] + last)


@dataclass(frozen=True)
class SubjectAtTester(Client):
    """The subject as a client of the tester.

    :ivar redirect_uri: party A only: where it wants its users back.
    """

    redirect_uri: str = ""


@dataclass(frozen=True)
class TesterAtSubject(Client):
    """The tester as a client of the subject.

    :ivar auth: ``basic`` or ``body`` (RFC 6749, section 2.3.1).
    :ivar scope: at B: what the tester asks in its authorization request. At A: what it asks by
        ``reciprocal``.
    :ivar reciprocal: at B: the scope that the subject asks of the tester.
    :ivar other_scope: at A: a scope that the subject may grant too.
    :ivar agreed_scope: at A: the scope that the subject grants if nothing is asked.
    """

    auth: str = "basic"
    scope: str = ""
    reciprocal: str = ""
    other_scope: str = ""
    agreed_scope: str = ""
    second: Client | None = None


@dataclass(frozen=True)
class Api:
    """An address of the subject's API, and the scope that it needs, if one."""

    url: str
    scope: str = ""


@dataclass(frozen=True)
class Subject:
    """The implementation under test. Endpoints are URLs, or empty."""

    at_tester: SubjectAtTester
    issuer: str = ""
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    reciprocal_endpoint: str = ""
    revocation_endpoint: str = ""
    api: tuple[Api, ...] = ()
    users: tuple[str, ...] = ("alice",)
    checks_iss: bool = False
    pkce: bool = True

    @property
    def handover_url(self) -> str:
        """Where the subject takes a hand-over: its token endpoint, unless a dialect has another."""
        return self.reciprocal_endpoint or self.token_endpoint

    def urls(self) -> dict[str, str]:
        """Return the URLs of the subject by the names that they have in the configuration."""
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        urls = {name: url for name, url in named.items() if name.endswith(("endpoint", "issuer"))}
        urls.update({f"api {number}": each.url for number, each in enumerate(self.api, start=1)})
        urls["at_tester.redirect_uri"] = self.at_tester.redirect_uri
        return {name: url for name, url in urls.items() if url}


@dataclass(frozen=True)
class Waits:
    """How long to wait, in seconds.

    :ivar redeem: at most, for party B to redeem a code.
    :ivar send: at most, for party A to hand over a code.
    :ivar quiet: without a request, until something counts as not sent.
    :ivar retry: at most, for a request to be sent again.
    :ivar max_wait: at most, where the subject asks to wait, or where a life must end.
    :ivar code_lifetime: the life of the subject's codes; 0 if it is not known.
    :ivar person: at most, for a person to do something.
    """

    redeem: float = 30
    send: float = 30
    quiet: float = 3
    retry: float = 60
    max_wait: float = 120
    code_lifetime: float = 0
    person: float = 300

    def times(self, factor: float) -> "Waits":
        """Return the waits for a slow machine. The lives of codes stay."""
        longer = {each.name: getattr(self, each.name) * factor for each in fields(self)}
        longer["code_lifetime"] = self.code_lifetime
        return Waits(**longer)


@dataclass(frozen=True)
class Config:
    """All that a run needs to know."""

    role: str
    subject: Subject
    tester: TesterAtSubject
    listen: str = DEFAULT_LISTEN
    public_url: str = ""
    waits: Waits = field(default_factory=Waits)
    driver: Mapping[str, Any] = field(default_factory=dict)
    dialect: Dialect = field(default_factory=Dialect)
    tls_cert: str = ""
    tls_key: str = ""
    ca: str = ""

    @property
    def base_url(self) -> str:
        """The URL of the tester's server, without a slash at the end."""
        scheme = "https" if self.tls_cert else "http"
        return (self.public_url or f"{scheme}://{self.listen}").rstrip("/")

    def address(self) -> tuple[str, int]:
        """Return host and port to listen at."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    def shown(self) -> dict[str, object]:
        """Return what the reports say about the configuration: nothing secret."""
        tester = self.tester
        return {
            "subject": {
                **self.subject.urls(),
                "client_id at the tester": self.subject.at_tester.client_id,
                "users": list(self.subject.users),
            },
            "tester": {
                "url": self.base_url,
                "client_id at the subject": tester.client_id,
                "second client": tester.second.client_id if tester.second else "",
                "scope": tester.scope,
                "reciprocal": tester.reciprocal,
            },
            "waits": {each.name: getattr(self.waits, each.name) for each in fields(Waits)},
            "driver": str(self.driver.get("kind", "")),
            "dialect": self.dialect.name,
        }

    def secrets(self) -> list[str]:
        """Return what no report may show."""
        clients = [self.subject.at_tester, self.tester, self.tester.second]
        secrets = [client.client_secret for client in clients if client and client.client_secret]
        # What a user types at the subject.
        users = self.driver.get("users", {})
        typed = [text for table in dict(users).values() for text in dict(table).values()]
        return secrets + [text for text in typed if isinstance(text, str) and text]


def load(path: Path, role: str, patience: float = 1.0, **changes: str) -> Config:
    """Read a configuration.

    :param role: ``a`` or ``b``: the party that is tested.
    :param patience: a factor for all waits.
    :param changes: values of the command line that take the place of those of the file.
    :raises UsageError: the file is missing or wrong. The text says what was expected.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.") from error
    try:
        config = _config(tables, role)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    given: dict[str, Any] = {name: value for name, value in changes.items() if value}
    config = replace(config, waits=config.waits.times(patience), **given)
    _require_host_and_port(config.listen)
    if config.public_url:
        _require_url("public_url", config.public_url)
    elif config.address()[0] in ("0.0.0.0", "::"):  # noqa: S104
        raise UsageError(
            f"The subject cannot call {config.listen}. Say by public_url how it reaches the tester."
        )
    if bool(config.tls_cert) != bool(config.tls_key):
        raise UsageError("A tester with TLS needs both: --tls-cert and --tls-key.")
    return config


def _config(tables: dict[str, Any], role: str) -> Config:
    tables = {name: table_of(name, with_environment(name, each)) for name, each in tables.items()}
    only_known("", tables, ("subject", "tester", "waits", "driver", "dialect"))
    tester = tables.get("tester", {})
    only_known(
        "tester", tester, ("listen", "public_url", "at_subject", "tls_cert", "tls_key", "ca")
    )
    places = {name: text_of("tester", tester, name) for name in tester if name != "at_subject"}
    config = Config(
        role=role,
        subject=_subject(tables.get("subject", {}), role),
        tester=_at_subject(table_of("tester.at_subject", tester.get("at_subject", {}))),
        waits=_waits(tables.get("waits", {})),
        driver=tables.get("driver", {}),
        dialect=_dialect(tables.get("dialect", {})),
        **places,
    )
    if config.dialect.name and role == "a":
        raise UsageError("dialect is for a test of party B.")
    return config


def _subject(table: Mapping[str, Any], role: str) -> Subject:
    table = dict(table)
    at_tester = dict(table_of("subject.at_tester", table.pop("at_tester", {})))
    users = at_tester.pop("users", table.pop("users", ["alice"]))
    if not (
        isinstance(users, list) and users and all(isinstance(each, str) and each for each in users)
    ):
        raise UsageError('users is a list of names, such as ["alice", "bob"].')
    if len(set(users)) != len(users):
        raise UsageError("users names a user twice.")
    values: dict[str, Any] = {"api": _apis(table.pop("api", ()))}
    for flag in ("checks_iss", "pkce"):
        if flag in table:
            values[flag] = flag_of("subject", table, flag, default=False)
            del table[flag]
    only_known("subject", {**table, **values}, [each.name for each in fields(Subject)])
    values.update({name: text_of("subject", table, name) for name in table})
    subject = Subject(
        at_tester=SubjectAtTester(**_texts("subject.at_tester", at_tester, SubjectAtTester)),
        users=tuple(users),
        **values,
    )
    for name, url in subject.urls().items():
        _require_url(f"subject.{name}", url)
    if role == "a" and not subject.at_tester.redirect_uri:
        raise UsageError(
            "subject.at_tester.redirect_uri is missing: where party A wants its users back."
        )
    if role == "b" and not (subject.authorization_endpoint or subject.issuer):
        raise UsageError(
            "subject.authorization_endpoint is missing. Give it, or give subject.issuer if the "
            "subject has metadata (RFC 8414)."
        )
    return subject


def _apis(value: Any) -> tuple[Api, ...]:
    listed = value if isinstance(value, list | tuple) else [value]
    apis = []
    for each in listed:
        table = {"url": each} if isinstance(each, str) else each
        if not isinstance(table, dict) or "url" not in table:
            raise UsageError(
                'subject.api is a URL, or a table {url = "…", scope = "…"}, or a list.'
            )
        only_known("subject.api", table, ("url", "scope"))
        apis.append(Api(**{name: text_of("subject.api", table, name) for name in table}))
    return tuple(apis)


def _at_subject(table: Mapping[str, Any]) -> TesterAtSubject:
    table = dict(table)
    second = table.pop("second", None)
    texts = _texts("tester.at_subject", table, TesterAtSubject)
    auth = texts.get("auth", "basic")
    if auth not in ("basic", "body"):
        raise UsageError(f'tester.at_subject.auth is "basic" or "body", not "{auth}".')
    if second is None:
        return TesterAtSubject(**texts)
    where = "tester.at_subject.second"
    client = Client(**_texts(where, table_of(where, second), Client))
    if client.client_id == texts["client_id"]:
        raise UsageError("tester.at_subject.second is the same client as tester.at_subject.")
    return TesterAtSubject(**texts, second=client)


def _texts(where: str, table: Mapping[str, Any], kind: type[Client]) -> dict[str, Any]:
    names = [each.name for each in fields(kind) if each.name != "second"]
    only_known(where, table, names)
    for name in ("client_id", "client_secret"):
        if not table.get(name):
            raise UsageError(f"{where}.{name} is missing.")
    return {name: text_of(where, table, name) for name in table}


def _waits(table: Mapping[str, Any]) -> Waits:
    only_known("waits", table, [each.name for each in fields(Waits)])
    for name, value in table.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 <= value < math.inf
        ):
            raise UsageError(f"waits.{name} is a number of seconds, not {value!r}.")
    return Waits(**table)


def _dialect(table: Mapping[str, Any]) -> Dialect:
    only_known("dialect", table, [each.name for each in fields(Dialect)])
    read: dict[Any, Callable[..., Any]] = {
        bool: partial(flag_of, default=False),
        int: number_of,
        str: text_of,
    }
    kinds = {each.name: each.type for each in fields(Dialect)}
    dialect = Dialect(**{name: read[kinds[name]]("dialect", table, name) for name in table})
    if table and not dialect.name:
        raise UsageError("dialect.name is missing: the reports say it.")
    dialect.require_valid()
    return dialect


# --- Addresses ---------------------------------------------------------------------------------


def _require_url(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        port_is_right = False
        parts = urlsplit("")
    is_plain = url.isascii() and url.isprintable() and " " not in url and "#" not in url
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_right:
        raise UsageError(f'{name} is "{url}", which is no URL with http or https and a host.')
    if not is_plain:
        raise UsageError(f'{name} is "{url}". A URL is ASCII, without blanks and without #.')


def _require_host_and_port(listen: str) -> None:
    host, _, port = listen.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= 65535:
        raise UsageError(f'listen is a host and a port, such as {DEFAULT_LISTEN}, not "{listen}".')
