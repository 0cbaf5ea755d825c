"""The form of the hand-over: type of the body, method, odd characters."""

import json
from urllib.parse import parse_qsl

from .. import made_up
from ..party_b import PartyB
from ..party_b.handing_over import INVALID, with_value, without
from ..registry import check
from ..verdicts import Broken, Severity, Unclear, Verdict
from ..wire.client import FORM, Request, with_query
from ..wire.exchanges import Headers

_UNSUPPORTED = (400, 415)
#: Values of this length are long.
_LONG = 1000
_ANY = tuple(range(400, 500))


def _unsupported(b: PartyB) -> tuple[int, ...]:
    # A secret in a body that is not read authenticates nobody.
    return (*_UNSUPPORTED, 401) if b.authentication == "body" else _UNSUPPORTED


def _typed(headers: Headers, content_type: str) -> Headers:
    others = [pair for pair in headers if pair[0].lower() != "content-type"]
    return [*others, ("Content-Type", content_type)] if content_type else others


@check("B-PARAM-2", Severity.MUST, draft="2.2.2/2", threats="P3", needs="form")
def charset(b: PartyB) -> None:
    """The type of the body may name UTF-8.

    Does: sends the right hand-over with Content-Type: application/x-www-form-urlencoded;
    charset=UTF-8.

    Expects: status 200.
    """
    code = b.plan()
    request = b.right(code)
    headers = _typed(request.headers, f"{FORM};charset=UTF-8")
    b.must_accept(code, b.changed_request(request, headers=headers), what="With charset=UTF-8 it")


@check("B-SHAPE-1", Severity.MUST, draft="2.2.2/2", threats="P1", negative=True)
def token_in_the_query(b: PartyB) -> None:
    """A secret in the URL is not taken.

    Does: moves access_token (the code, in a dialect with the token in a header) to the query.

    Expects: status 400, and the code is not redeemed.
    """
    code = b.plan()
    name = "code" if b.config.dialect.is_bearer else "access_token"
    parameters = b.parameters(code, b.access().access_token)
    request = b.request(without(parameters, name))
    url = with_query(request.url, [pair for pair in parameters if pair[0] == name])
    b.must_refuse(code, b.changed_request(request, url=url), what=f"With {name} in the URL it")


@check("B-SHAPE-2", Severity.MUST, draft="2.2.2/2", threats="P3", needs="form", negative=True)
def json_body(b: PartyB) -> None:
    """A JSON body is refused.

    Does: sends the right parameters as JSON.

    Expects: status 400 or 415, and the code is not redeemed.
    """
    code = b.plan()
    request = b.right(code)
    body = json.dumps(dict(parse_qsl(request.body.decode()))).encode()
    changed = b.changed_request(
        request, headers=_typed(request.headers, "application/json"), body=body
    )
    b.must_refuse(code, changed, _unsupported(b), what="JSON")


@check(
    "B-SHAPE-3",
    Severity.MUST,
    draft="2.2.2/2",
    rfc="6749 3.2",
    threats="P7",
    negative=True,
)
def get(b: PartyB) -> None:
    """A GET is refused.

    Does: sends the right parameters in the query of a GET.

    Expects: a refusal, such as status 405, and the code is not redeemed.
    """
    code = b.plan()
    request = b.right(code)
    headers = [pair for pair in request.headers if pair[0].lower() != "content-type"]
    url = with_query(request.url, parse_qsl(request.body.decode()))
    b.must_refuse(code, Request("GET", url, headers), _ANY, what="GET")


@check("B-SHAPE-4", Severity.MUST, draft="2.2.2/2", threats="P3", needs="form", negative=True)
def other_types(b: PartyB) -> None:
    """Bodies of other types are refused.

    Does: sends the right parameters as multipart/form-data, and the form as text/plain and without
    a type.

    Expects: status 400 or 415 each time, and the code is not redeemed. A multipart body that is
    taken is a warning: the draft says which format party A sends, and no attack needs another one.
    """
    for content_type in ("text/plain", ""):
        code = b.plan()
        request = b.right(code)
        changed = b.changed_request(request, headers=_typed(request.headers, content_type))
        b.must_refuse(code, changed, _unsupported(b), what=content_type or "No Content-Type")
    code = b.plan()
    changed = _multipart(b, b.right(code))
    what = "multipart/form-data"
    b.must_refuse(code, changed, _unsupported(b), what=what, at_worst=Verdict.WARN)


def _multipart(b: PartyB, request: Request) -> Request:
    boundary = made_up.value()
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parse_qsl(request.body.decode())
    )
    headers = _typed(request.headers, f"multipart/form-data; boundary={boundary}")
    return b.changed_request(request, headers=headers, body=f"{parts}--{boundary}--\r\n".encode())


@check(
    "B-SHAPE-5",
    Severity.SECURITY,
    draft="2.2.2/2 2.2.2/11",
    rfc="6749 A.11",
    threats="P4 P5 P6",
    negative=True,
)
def odd_characters(b: PartyB) -> None:
    """Odd and long values do no harm.

    Does: sends NUL, bytes that are not UTF-8, an emoji, and 100,000 characters as the code and as
    the access token.

    Expects: a status of 4xx, never 5xx. If party B takes such a code, it is a warning.
    """
    odd = {
        "NUL": (b"code%00x", rb"code\u0000x"),
        "bytes that are not UTF-8": (b"%ff%fe", b"\xff\xfe"),
        "an emoji": (b"%F0%9F%8E%B5", b"\xf0\x9f\x8e\xb5"),
        "100,000 characters": (b"x" * 100_000,) * 2,
    }
    is_json = bool(b.config.dialect.body)
    taken = [
        f"{what} as {name}"
        for what, values in odd.items()
        for name in ("code", "access_token")
        if _is_taken(b, name, values[is_json], what)
    ]
    if taken:
        raise Broken(
            "A status of 4xx.", f"Accepted with 200: {', '.join(taken)}.", at_worst=Verdict.WARN
        )


def _is_taken(b: PartyB, name: str, value: bytes, what: str) -> bool:
    marker = made_up.value()
    parameters = b.parameters(b.plan(), b.access().access_token)
    request = b.request(with_value(parameters, name, marker))
    if marker.encode() not in request.body:
        return False
    body = request.body.replace(marker.encode(), value)
    try:
        response = b.send(b.changed_request(request, body=body), f"{what} as {name}")
    except Unclear:
        if len(value) < _LONG:
            raise
        b.note(f"Party B closes the connection on {what} as {name}.")
        return False
    if response.status >= 500:
        raise Broken("A status of 4xx.", f"{what} as {name} was answered with {response}.")
    if b.is_accepted(response):
        if name == "access_token":
            raise Broken("A status of 4xx.", f"{what} as access token was accepted.")
        if len(value) >= _LONG:
            # RFC 6749, section 4.1.2, leaves the size of a code to the server that issues it.
            b.note(f"{what} as {name} was accepted.")
        return len(value) < _LONG
    if response.status not in INVALID:
        b.note(f"{what} as {name} was answered with {response}.")
    return False
