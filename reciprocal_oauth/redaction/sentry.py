"""Keeps codes, tokens and secrets out of what sentry-sdk sends.

By default it sends the variables of every frame, the query and the form of the request, and the
arguments of the command. It does not heed Django's marks for what is sensitive, and hides values by
a few names only, such as ``password``. A code, a token or a client secret can stand in any variable
of this app, of DOT, of oauthlib, and of whatever they call. So all variables of these are left out,
and so is what a request to one of their views carries.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.management import get_commands
from django.urls import Resolver404, get_script_prefix, resolve

#: Whose variables, views and commands hold secrets.
_LIBRARIES = frozenset({"reciprocal_oauth", "oauth2_provider", "oauthlib"})
#: Parts of a request that may hold some, beside its headers.
_PARTS = ("data", "query_string", "cookies")
_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
#: What is left of an event that could not be looked through.
_HARMLESS = frozenset(
    {"event_id", "timestamp", "level", "logger", "platform", "sdk", "transaction"}
)

Frames = list[dict[str, Any]]


def install() -> None:
    """Have every event of sentry-sdk scrubbed, if it is installed. Called once, at start; it may be
    initialised before or afterwards, and again."""
    if importlib.util.find_spec("sentry_sdk") is None:
        return
    from sentry_sdk.scope import add_global_event_processor

    add_global_event_processor(_put_scrubber_in_place)


def _put_scrubber_in_place(event: Any, hint: Any) -> Any:
    """An event processor. It runs before those that add the request, so it only sees to it that
    the last look at the event is ours."""
    from sentry_sdk import get_client

    options = get_client().options
    theirs = options.get("event_scrubber")
    if not isinstance(theirs, Scrubber):
        options["event_scrubber"] = Scrubber(theirs)
    return event


class Scrubber:
    """Takes out what may be secret, and leaves the rest to the scrubber that was there."""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs

    def scrub_event(self, event: dict[str, Any]) -> None:
        try:
            scrub(event)
        except Exception:  # It is sent all the same, and must not break what it is about.
            for name in event.keys() - _HARMLESS:
                del event[name]
            event["message"] = "An event that reciprocal_oauth could not look through was cut."
        if self._theirs is not None:
            self._theirs.scrub_event(event)


def scrub(event: dict[str, Any]) -> None:
    """Take out of ``event`` what may be a code, a token or a secret."""
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
            # PostgreSQL tells the values of the row here.
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
    """Frames above that of a command hold its arguments."""
    return _is_ours(frame) and ".management." in str(frame.get("module"))


def _take_variables(frames: Frames, *, everywhere: bool) -> None:
    """Of our frames, and of those that they called; all, where none of ``frames`` is ours: then it
    is the part of a trace that begins below them, as that of a cause does."""
    first = next((number for number, frame in enumerate(frames) if _is_ours(frame)), 0)
    for frame in frames[0 if everywhere else first :]:
        frame.pop("vars", None)


def _serves_secrets(url: str | None) -> bool:
    """Whether one of the libraries' views serves ``url``, or one derived from theirs; or whether
    nothing says so: a middleware may have chosen other URLs for the request (``urlconf``)."""
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
        else:  # Proxies like to add the address as it arrived; and there is the referrer.
            headers[name] = str(headers[name]).partition("?")[0]


def _cut_arguments(extra: Any) -> None:
    """Keep no argument of our commands: secrets may be given as such."""
    if not isinstance(extra, dict):
        return
    arguments, commands = list(extra.get("sys.argv") or ()), get_commands()
    for number, argument in enumerate(arguments):
        if _is_of_library(commands.get(str(argument))):
            extra["sys.argv"] = [*arguments[: number + 1], "…"]
            return
