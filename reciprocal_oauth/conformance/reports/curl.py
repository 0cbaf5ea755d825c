"""The command that sends a request again, with curl."""

import re
import shlex
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

#: curl writes these itself, for the request that it sends.
_WRITTEN_BY_CURL: Final = frozenset(
    {"accept-encoding", "connection", "content-length", "transfer-encoding"}
)
_CONTROL: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
NUL: Final = "# The body holds NUL, which a command cannot. Put it into a file: --data-binary @FILE"


def command(exchange: Mapping[str, Any]) -> str:
    """Return a command for a POSIX shell, with line breaks between its parts.

    Placeholders of secrets, such as ``<code 7>``, stay as they are. Control characters are written
    ``$'\\r'``, which bash, zsh and ksh understand.
    """
    body = exchange["request_body"]
    options = _method(exchange["method"], bool(body))
    if set("[]{}") & set(exchange["url"]):
        options += "--globoff "
    parts = [f"curl {options}{_quoted(exchange['url'])}"]
    parts += [f"-H {_quoted(each)}" for each in _headers(exchange)]
    if body:
        parts.append(f"--data-raw {_quoted(body)}")
    lines = " \\\n  ".join(parts)
    return f"{NUL}\n{lines}" if "\0" in body else lines


def _method(method: str, has_body: bool) -> str:
    if method == "HEAD":
        return "--head "
    return "" if method == ("POST" if has_body else "GET") else f"-X {_quoted(method)} "


def _headers(exchange: Mapping[str, Any]) -> list[str]:
    host = _host_of(exchange["url"])
    headers = []
    has_type = False
    for name, value in exchange["request_headers"]:
        lower = name.lower()
        has_type = has_type or lower == "content-type"
        if lower not in _WRITTEN_BY_CURL and (lower, value) != ("host", host):
            # curl leaves out a header without a value, unless a semicolon takes the colon's place.
            headers.append(f"{name}: {value}" if value else f"{name};")
    if exchange["request_body"] and not has_type:
        # Otherwise curl says that the body is a form.
        headers.append("Content-Type:")
    return headers


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _quoted(text: str) -> str:
    # What is no text on the wire cannot be in a command either.
    text = _SURROGATE.sub("\ufffd", text)
    if not _CONTROL.search(text):
        return shlex.quote(text)
    text = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_CONTROL.sub(_escape, text)}'"


def _escape(found: re.Match[str]) -> str:
    named = {"\r": "\\r", "\t": "\\t"}
    number = ord(found.group())
    wide = f"\\u{number:04x}"
    return named.get(found.group(), f"\\x{number:02x}" if number < 0x80 else wide)
