"""Takes secrets out of what the reports show: by their names, and by their values in every
encoding. Each value gets a placeholder, the same one wherever it stands."""

import base64
import html
import json
import re
import threading
from collections.abc import Iterable
from functools import partial
from typing import Final
from urllib.parse import quote, quote_plus, unquote_plus

#: Headers whose value is a secret, whatever it is.
HEADERS: Final = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "x-csrftoken"}
)
#: Names of parameters and JSON members whose value is a secret, whatever it is.
_NAME: Final = (
    r"(?:code|code_verifier|password|csrf\w*|\w*token\w*|\w*secret\w*|assertion|\w*_assertion)"
)
#: Names that look like those above, and say nothing secret.
_PLAIN: Final = frozenset(
    {
        "token_type",
        "token_type_hint",
        "token_endpoint",
        "token_endpoint_auth_method",
        "token_endpoint_auth_methods_supported",
        "token_endpoint_auth_signing_alg_values_supported",
        "subject_token_type",
    }
)
_IN_FORM: Final = re.compile(rf"(?<![\w%])({_NAME})=([^&\s\"'<>#]*)", re.IGNORECASE)
_IN_JSON: Final = re.compile(rf"(\"({_NAME})\"\s*:\s*)\"((?:[^\"\\]|\\.)*)\"", re.IGNORECASE)
#: A number, JSON within JSON, and the texts of languages with single quotes.
_IN_TEXT: Final = re.compile(
    rf"((?:\\+\"|['\"])({_NAME})(?:\\+\"|['\"])\s*:\s*)(\\+\"[^\"\\]+|'[^']+|\d+)",
    re.IGNORECASE,
)
_IN_HTML: Final = re.compile(
    rf"(<input[^>]*name=[\"']?({_NAME})[\"']?[^>]*value=[\"']?)([^\"'>\s]*)", re.IGNORECASE
)
_VALUE_FIRST: Final = re.compile(
    rf"(<input[^>]*value=[\"']?)([^\"'>\s]*)(?=[^>]*name=[\"']?({_NAME})[\"'\s>])", re.IGNORECASE
)
_PLACEHOLDER: Final = re.compile(r"<[a-z_]+ \d+>")
#: What the name of a header says if its value is a secret.
_IN_NAME: Final = re.compile(r"token|secret|csrf|xsrf|api-?key", re.IGNORECASE)
_ESCAPE: Final = re.compile(r"%[0-9A-F]{2}")
#: Plain characters: what codes and tokens mostly consist of (RFC 3986, section 2.3).
_RUN: Final = re.compile(r"[A-Za-z0-9._~-]+")
#: Values of this length are also found in the middle of a longer run.
_LONG: Final = 16
#: Shorter values are not looked for by value: they would be found in ordinary words.
SHORTEST: Final = 6


class Redaction:
    """Knows the secrets of a run. It can be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kinds: dict[str, int] = {}
        self._placeholders: dict[str, str] = {}
        #: Spellings that are more than a run of plain characters, and the pattern that finds them.
        self._odd: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._long: list[str] = []
        self._short: list[str] = []

    def learn(self, value: str, kind: str) -> str:
        """Keep a value out of the reports.

        :param kind: what it is: ``code``, ``access_token``.
        :returns: its placeholder: ``<code 7>``.
        """
        with self._lock:
            if value in self._placeholders:
                return self._placeholders[value]
            self._kinds[kind] = self._kinds.get(kind, 0) + 1
            placeholder = f"<{kind} {self._kinds[kind]}>"
            for spelling in _spellings(value):
                self._placeholders.setdefault(spelling, placeholder)
                if len(spelling) >= SHORTEST and not _RUN.fullmatch(spelling):
                    self._odd.add(spelling)
                    self._pattern = None
                elif len(spelling) >= _LONG:
                    self._long.append(spelling)
                elif len(spelling) >= SHORTEST:
                    self._short.append(spelling)
            return placeholder

    def hide(self, text: str) -> str:
        """Return a text without secrets."""
        if not text:
            return text
        text = self._known(text)
        text = _IN_FORM.sub(self._in_form, text)
        text = _IN_JSON.sub(self._in_json, text)
        text = _IN_TEXT.sub(self._in_text, text)
        text = _VALUE_FIRST.sub(self._value_first, text)
        return _IN_HTML.sub(self._in_html, text)

    def headers(self, headers: Iterable[tuple[str, str]]) -> list[list[str]]:
        """Return headers without secrets."""
        return [[name, self._header(name, value)] for name, value in headers]

    def _header(self, name: str, value: str) -> str:
        if name.lower() not in HEADERS and not _IN_NAME.search(name):
            return self.hide(value)
        if name.lower() == "set-cookie":
            cookie, _, attributes = value.partition(";")
            key, _, content = cookie.partition("=")
            return f"{key}={self._name(content, 'cookie')};{attributes}".rstrip(";")
        scheme, _, rest = value.partition(" ")
        if name.lower() == "authorization" and rest:
            return f"{scheme} {self._name(rest, 'credentials')}"
        return self._name(value, name.lower().removeprefix("x-"))

    def _name(self, value: str, kind: str) -> str:
        if not value or _PLACEHOLDER.fullmatch(value):
            return value
        return self.learn(value, kind)

    def _known(self, text: str) -> str:
        # One pattern of thousands of values would be slow. Most values are runs of plain
        # characters, so each run of the text is looked up. Only the other values need a pattern.
        with self._lock:
            if self._pattern is None:
                odd = sorted(self._odd, key=len, reverse=True)
                self._pattern = re.compile("|".join(map(re.escape, odd)) or r"(?!)")
            text = self._pattern.sub(lambda found: self._placeholders[found.group()], text)
            return _RUN.sub(self._in_run, text)

    def _in_run(self, found: re.Match[str]) -> str:
        run = found.group()
        if len(run) < SHORTEST:
            return run
        if run in self._placeholders:
            return self._placeholders[run]
        if len(run) > _LONG:
            for value in self._long:
                if value in run:
                    run = run.replace(value, self._placeholders[value])
        for value in self._short:
            if value in run:
                # As a word of its own: a short value may be part of an ordinary word.
                word = rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])"
                run = re.sub(word, self._placeholders[value], run)
        return run

    def _in_form(self, found: re.Match[str]) -> str:
        name, value = found.groups()
        if name.lower() in _PLAIN or not value or _PLACEHOLDER.match(unquote_plus(value)):
            return found.group()
        if value.startswith("<"):
            return found.group()
        return f"{name}={self._name(unquote_plus(value), name.lower())}"

    def _in_json(self, found: re.Match[str]) -> str:
        start, name, value = found.groups()
        if name.lower() in _PLAIN or not value or _PLACEHOLDER.match(value):
            return found.group()
        return f'{start}"{self._name(_from_json(value), name.lower())}"'

    def _in_text(self, found: re.Match[str]) -> str:
        start, name, quoted = found.groups()
        value = quoted.lstrip("\\\"'")
        if name.lower() in _PLAIN or not value or value.startswith("<"):
            return found.group()
        return f"{start}{quoted[: len(quoted) - len(value)]}{self._name(value, name.lower())}"

    def _value_first(self, found: re.Match[str]) -> str:
        start, value, name = found.groups()
        return f"{start}{self._name(value, name.lower())}"

    def _in_html(self, found: re.Match[str]) -> str:
        start, name, value = found.groups()
        return f"{start}{self._name(value, name.lower())}"


def _from_json(value: str) -> str:
    try:
        return str(json.loads(f'"{value}"'))
    except ValueError:
        return value


def _spellings(value: str) -> set[str]:
    """Return how a value can be written on the wire: as it is, percent-encoded, in JSON, in HTML,
    in base64."""
    encodings = (
        str,
        quote_plus,
        quote,
        partial(quote, safe=""),
        partial(quote_plus, safe="/:"),
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
        lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;"),
        partial(html.escape, quote=True),
        partial(html.escape, quote=False),
    )
    try:
        spellings = {encode(value) for encode in encodings}
        raw = value.encode()
    except UnicodeEncodeError:
        return {value}
    spellings.add(json.dumps(value, ensure_ascii=False)[1:-1])
    spellings |= {_ESCAPE.sub(lambda found: found[0].lower(), each) for each in spellings}
    spellings.add(quote_plus(quote_plus(value)))
    if len(raw) >= SHORTEST:
        spellings.add(base64.b64encode(raw).decode())
        spellings.add(base64.urlsafe_b64encode(raw).decode().rstrip("="))
    return spellings
