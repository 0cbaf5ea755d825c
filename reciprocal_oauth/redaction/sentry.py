"""Removes codes, tokens and secrets from the events of sentry-sdk.

By default, sentry-sdk sends the variables of every frame, the query and the form of the request,
and the arguments of the command. It ignores Django's ``sensitive_variables`` and hides only values
with a few names, such as ``password``. But any variable of this app, of DOT, of oauthlib, and of
functions that they call can contain a secret. So these variables are all removed, and so is the
content of requests to their views.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.management import get_commands
from django.urls import Resolver404, get_script_prefix, resolve

#: The packages whose variables, views and commands may contain secrets.
_LIBRARIES = frozenset({"reciprocal_oauth", "oauth2_provider", "oauthlib"})
#: The parts of a request that may contain secrets, apart from its headers.
_PARTS = ("data", "query_string", "cookies")
_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
#: The fields that remain in an event if scrubbing it fails.
_HARMLESS = frozenset(
    {"event_id", "timestamp", "level", "logger", "platform", "sdk", "transaction"}
)

Frames = list[dict[str, Any]]


def install() -> None:
    """Have all events of sentry-sdk scrubbed, if it is installed. Django's start calls this once;
    the site may initialize sentry-sdk before or after that, also several times."""
    if importlib.util.find_spec("sentry_sdk") is None:
        return
    from sentry_sdk.scope import add_global_event_processor

    add_global_event_processor(_put_scrubber_in_place)


def _put_scrubber_in_place(event: Any, hint: Any) -> Any:
    """Set our scrubber in the options of sentry-sdk.

    This is an event processor. It cannot scrub the event itself, because it runs before the
    processors that add the request; the scrubber runs last.
    """
    from sentry_sdk import get_client

    options = get_client().options
    theirs = options.get("event_scrubber")
    if not isinstance(theirs, Scrubber):
        options["event_scrubber"] = Scrubber(theirs)
    return event


class Scrubber:
    """Removes secrets from an event, and then calls the scrubber of the site."""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs

    def scrub_event(self, event: dict[str, Any]) -> None:
        """Scrub ``event``. If that fails, remove all fields that may contain a secret."""
        try:
            scrub(event)
        except Exception:  # The event is sent anyway, and an error here must not hide the first.
            for name in event.keys() - _HARMLESS:
                del event[name]
            event["message"] = (
                "reciprocal_oauth could not scrub this event and removed its content."
            )
        if self._theirs is not None:
            self._theirs.scrub_event(event)


def scrub(event: dict[str, Any]) -> None:
    """Remove everything from ``event`` that may be a code, a token or a secret."""
    request = event.get("request") or {}
    is_ours = bool(request) and _serves_secrets(request.get("url"))
    if is_ours:
        _scrub_request(request)
    stacks = list(_stacks(event))
    if is_ours or any(_is_ours(frame) for frames in stacks for frame in frames):
        everywhere = is_ours or any(_is_of_command(frame) for frames in stacks for frame in frames)
        for frames in stacks:
            _take_variables(frames, everywhere=everywhere)
        for exception in _values(event, "exception"):
            # The DETAIL of an error of PostgreSQL shows the values of the row.
            exception["value"] = str(exception.get("value") or "").partition("\nDETAIL:")[0]
    _cut_arguments(event.get("extra"))


def _values(event: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    yield from (event.get(name) or {}).get("values") or ()


def _stacks(event: Mapping[str, Any]) -> Iterator[Frames]:
    holders = [event, *_values(event, "exception"), *_values(event, "threads")]
    for holder in holders:
        yield (holder.get("stacktrace") or {}).get("frames") or []


def _is_ours(frame: Mapping[str, Any]) -> bool:
    return _is_of_library(frame.get("module"))


def _is_of_library(module: Any) -> bool:
    return str(module or "").partition(".")[0] in _LIBRARIES


def _is_of_command(frame: Mapping[str, Any]) -> bool:
    """Whether this is a frame of a command. The frames before it contain the arguments."""
    return _is_ours(frame) and ".management." in str(frame.get("module"))


def _take_variables(frames: Frames, *, everywhere: bool) -> None:
    """Remove the variables from our frames, and from the frames of functions that they called.

    If none of ``frames`` is ours, remove the variables from all: the traceback of a cause begins
    below our frames.
    """
    first = next((number for number, frame in enumerate(frames) if _is_ours(frame)), 0)
    for frame in frames[0 if everywhere else first :]:
        frame.pop("vars", None)


def _serves_secrets(url: str | None) -> bool:
    """Whether a view of the libraries, or one derived from them, serves ``url``.

    Also true if the URL is unknown, because a middleware may have changed the path or the URLconf.
    """
    if not url:
        return True
    path = unquote(urlsplit(url).path)
    try:
        view: Any = resolve("/" + path.removeprefix(get_script_prefix())).func
    except Resolver404:
        return True
    classes = (getattr(view, "view_class", None), getattr(view, "cls", None))
    owners = [each for each in classes if each] + [type(getattr(view, "model_admin", None))]
    bases = [base.__module__ for owner in owners for base in owner.__mro__]
    return any(map(_is_of_library, [getattr(view, "__module__", ""), *bases]))


def _scrub_request(request: dict[str, Any]) -> None:
    for part in _PARTS:
        request.pop(part, None)
    headers = request.get("headers") or {}
    for name in list(headers):
        if name.lower() in _HEADERS:
            del headers[name]
        else:  # The Referer, and headers of proxies, may contain the URL with its query.
            headers[name] = str(headers[name]).partition("?")[0]


def _cut_arguments(extra: Any) -> None:
    """Remove the arguments of our commands, because they may be secrets."""
    if not isinstance(extra, dict):
        return
    arguments, commands = list(extra.get("sys.argv") or ()), get_commands()
    for number, argument in enumerate(arguments):
        if _is_of_library(commands.get(str(argument))):
            extra["sys.argv"] = [*arguments[: number + 1], "…"]
            return
