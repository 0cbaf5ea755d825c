"""Examples of requests and responses for the OpenAPI schema. The site is ``assistant.example``, the
peer is ``music.example``. A test compares them with the schema."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

_SITE = "https://assistant.example"
_ID = "0b8f6f5e-4d3c-4a53-9f61-5b0f1c7f8f0e"
_SHOWN = "9b1de1c7a0f24c5b8f6e7d8c9ba0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2"
_NOW_PLAYING = {"name": "now-playing", "description": "Tell your assistant what is playing"}
_PEER = {
    "slug": "music",
    "name": "Music",
    "homepage": "https://music.example/",
    "description": "Plays your music on every speaker at home.",
    "logo_url": "https://assistant.example/connections/music/logo/?v=20261130035600",
    "policy_uri": "https://music.example/privacy/",
    "tos_uri": "",
}

_OFFER: dict[str, Any] = {
    **_PEER,
    "is_linked": False,
    "is_paused": False,
    "several_accounts": False,
    "asks_for": ["playback", "history"],
    "connect_url": f"{_SITE}/api/reciprocal/peers/music/connect/",
    "start_url": f"{_SITE}/api/reciprocal/peers/music/start/",
}
_WORKING = {"reason": None, "text": "Working", "explanation": "", "advice": ""}
_LINK: dict[str, Any] = {
    "id": _ID,
    "url": f"{_SITE}/api/reciprocal/links/{_ID}/",
    "peer": _PEER,
    "account": {"id": "42", "name": "alice@music.example"},
    "status": "active",
    "is_two_way": True,
    "text": "Connected both ways",
    "next_step": None,
    "incoming": {"state": "active", **_WORKING, "scopes": [_NOW_PLAYING], "pending": None},
    "outgoing": {
        "state": "active",
        **_WORKING,
        "scopes": [{"name": "playback", "description": ""}],
    },
    "question": None,
    "choices": [_NOW_PLAYING],
    "shown": _SHOWN,
    "created_at": "2026-11-27T14:20:03.120000Z",
    "linked_at": "2026-11-27T14:20:09.480000Z",
    "last_used_at": None,
    "ended_at": None,
}
_FLOW = {
    "party": "A",
    "is_change": False,
    "is_under_way": False,
    "steps": [
        {
            "step": "A",
            "state": "done",
            "at": "2026-11-27T14:20:01.310000Z",
            "text": "asks for access, through the browser",
            "explanation": "",
        }
    ],
}
_DETAIL = {**_LINK, "flow": _FLOW}
_OFFERED = {
    **_DETAIL,
    "is_two_way": False,
    "text": "Waiting for your answer",
    "next_step": "finish",
    "incoming": {
        **_LINK["incoming"],
        "state": "offered",
        "text": "Not allowed yet: waiting for your answer",
        "scopes": [],
    },
    "question": {
        "scopes": [_NOW_PLAYING],
        "page": f"{_SITE}/connections/links/{_ID}/consent/",
        "shown": _SHOWN,
    },
    "choices": [],
    "linked_at": None,
}


def _request(value: Any) -> OpenApiExample:
    return OpenApiExample("Request", value=value, request_only=True)


def _response(value: Any, name: str = "Response", status: int = 200) -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=[status])


def problem(title: str, status: int, code: str, detail: str, **more: Any) -> OpenApiExample:
    """Return the example of an error (RFC 9457, section 3)."""
    value = {"type": "about:blank", "title": title, "status": status, "code": code}
    return OpenApiExample(code, value={**value, "detail": detail, **more}, response_only=True)


#: The examples of each operation, by the name of the operation.
EXAMPLES = {
    "peers": [_response(_OFFER)],
    "connect": [
        _request({"return_to": "https://app.example/connected"}),
        _response(
            {
                "authorization_url": "https://music.example/o/authorize/?response_type=code&"
                "client_id=assistant-at-music&state=kJ0wqj…",
                "expires_in": 1800,
            }
        ),
    ],
    "start": [
        _request({"return_to": "com.example.app:/connected", "state": "Zk3vQ0"}),
        _response(
            {
                "url": f"{_SITE}/connections/music/start/?start=WyI3Iiwi…",
                "expires_in": 300,
            }
        ),
    ],
    "links": [_response(_LINK)],
    "link": [_response(_DETAIL, "Both ways"), _response(_OFFERED, "A question is open")],
    "consent": [_request({"scopes": ["now-playing"], "shown": _SHOWN}), _response(_DETAIL)],
    "scopes": [_request({"scopes": ["now-playing"], "shown": _SHOWN}), _response(_DETAIL)],
    "retry": [_response(_DETAIL, status=202)],
    "disconnect": [],
}

#: The examples of errors, by status.
PROBLEMS = {
    400: [
        problem(
            "Bad Request",
            400,
            "invalid",
            "The request is not valid.",
            errors=[
                {"field": "shown", "code": "required", "detail": "This field is required."},
            ],
        )
    ],
    401: [
        problem(
            "Unauthorized", 401, "invalid_token", "The access token is unknown, expired or revoked."
        )
    ],
    403: [
        problem(
            "Forbidden",
            403,
            "insufficient_scope",
            "The access token lacks the scope “reciprocal:write”.",
        )
    ],
    404: [problem("Not Found", 404, "not_found", "There is no such thing, or it is not yours.")],
    409: [
        problem("Conflict", 409, "not_offered", "These scopes cannot be chosen: history."),
    ],
    429: [
        problem(
            "Too Many Requests",
            429,
            "throttled",
            "Request was throttled. Expected available in 60 seconds.",
        )
    ],
}
