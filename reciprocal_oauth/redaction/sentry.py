"""Removes codes, tokens and secrets from the events that sentry-sdk sends.

By default, sentry-sdk sends the variables of all frames in a traceback, the query and form of the
request, and the arguments of a command. It ignores Django's ``sensitive_variables``, and hides only
values with certain names, such as ``password``. But any variable in the code of this app, DOT or
oauthlib can contain a secret, and so can the variables of functions that this code calls. So this
module removes all these variables, and the content of requests to views of these packages.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.management import get_commands
from django.urls import Resolver404, get_script_prefix, resolve

#: The packages whose variables, views and commands may contain secrets.
_LIBRARIES = frozenset({"reciprocal_oauth", "oauth2_provider", "oauthlib"})
#: The parts of the request in an event that are removed, because they can contain secrets.
_PARTS = ("data", "query_string", "cookies")
_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
#: The fields that an event keeps if the removal of its secrets fails. They contain no secrets.
_HARMLESS = frozenset(
    {"event_id", "timestamp", "level", "logger", "platform", "sdk", "transaction"}
)

Frames = list[dict[str, Any]]


def install() -> None:
    """Make sentry-sdk, if it is installed, remove secrets from all events.

    This is called once, when Django starts. The site can initialize sentry-sdk earlier or later,
    and several times.
    """
    if importlib.util.find_spec("sentry_sdk") is None:
        return
    from sentry_sdk.scope import add_global_event_processor

    add_global_event_processor(_put_scrubber_in_place)


def _put_scrubber_in_place(event: Any, hint: Any) -> Any:
    """Make sentry-sdk use the class :class:`Scrubber` for this event and all later events. Return
    ``event`` unchanged.

    This function is an event processor of sentry-sdk. It does not remove secrets from the event
    itself, because event processors that run later add the request to the event. sentry-sdk calls
    the scrubber after all event processors.
    """
    from sentry_sdk import get_client

    options = get_client().options
    theirs = options.get("event_scrubber")
    if not isinstance(theirs, Scrubber):
        options["event_scrubber"] = Scrubber(theirs)
    return event


class Scrubber:
    """The scrubber that sentry-sdk calls for each event. It removes secrets from the event, and
    then calls the scrubber that sentry-sdk or the site had set earlier."""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs

    def scrub_event(self, event: dict[str, Any]) -> None:
        """Remove secrets from ``event``. If this raises an exception, remove all fields of
        ``event`` that can contain a secret."""
        try:
            scrub(event)
        except Exception:  # Do not raise it: the event reports another error, which must be sent.
            for name in event.keys() - _HARMLESS:
                del event[name]
            event["message"] = (
                "reciprocal_oauth could not scrub this event and removed its content."
            )
        if self._theirs is not None:
            self._theirs.scrub_event(event)


def scrub(event: dict[str, Any]) -> None:
    """Remove everything from ``event`` that can contain a code, a token or a client secret."""
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
            # Error messages of PostgreSQL can have a part DETAIL, which shows values of a row.
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
    """Return whether ``frame`` belongs to a management command of this app, DOT or oauthlib. If so,
    the frames of Django that called the command must be scrubbed too, because their variables
    contain the arguments of the command."""
    return _is_ours(frame) and ".management." in str(frame.get("module"))


def _take_variables(frames: Frames, *, everywhere: bool) -> None:
    """Remove the variables from the first frame of this app, DOT or oauthlib, and from all frames
    after it, because they belong to functions that code of these packages has called.

    If the traceback has no frame of these packages, remove the variables from all frames. Code of
    these packages may still be the caller: if one exception has caused another, the traceback of
    the cause does not contain the frames of the callers.

    :param frames: the frames of one traceback, the outermost first.
    :param everywhere: ``True`` if the variables of all frames must be removed.
    """
    first = next((number for number, frame in enumerate(frames) if _is_ours(frame)), 0)
    for frame in frames[0 if everywhere else first :]:
        frame.pop("vars", None)


def _serves_secrets(url: str | None) -> bool:
    """Return whether ``url`` leads to a view of this app, DOT or oauthlib, or to a subclass of such
    a view.

    If the view cannot be found, return ``True``, so that secrets are removed in any case. The view
    is not found if ``url`` is missing or matches no route, for example because a middleware has
    changed the path or the URLconf of the request.
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
        else:  # Remove queries, because Referer and headers of proxies can contain the whole URL.
            headers[name] = str(headers[name]).partition("?")[0]


def _cut_arguments(extra: Any) -> None:
    """Remove the arguments of management commands of this app, DOT or oauthlib from ``sys.argv`` in
    the event, because an argument can be a secret."""
    if not isinstance(extra, dict):
        return
    arguments, commands = list(extra.get("sys.argv") or ()), get_commands()
    for number, argument in enumerate(arguments):
        if _is_of_library(commands.get(str(argument))):
            extra["sys.argv"] = [*arguments[: number + 1], "…"]
            return
