"""Tells listeners what the app does: what it counts, how long it takes, and which step it is at.

Metrics and traces are such listeners: see ``reciprocal_oauth.contrib``. The setting ``TELEMETRY``
names them. Without a listener, each function of this module returns at once. An error of a listener
is logged, and never breaks the work that it listens to.

Labels and attributes have few values: the short name of a peer, a step, a result, a reason. They
never tell a user, a link, an address or a secret.
"""

import enum
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar

from django.core.exceptions import ImproperlyConfigured

from ..conf import settings

logger = logging.getLogger("reciprocal_oauth.telemetry")

#: The value of a label that is not known.
UNKNOWN = ""
#: ``traceparent`` in version 00 (W3C Trace Context, section 3.2.2). A later version may have more
#: after the flags (section 4.3).
_TRACE_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class _Named(enum.Enum):
    """A kind of thing that listeners are told.

    :ivar labels: the names of its labels.
    """

    labels: tuple[str, ...]

    def __new__(cls, key: str, *labels: str) -> "_Named":
        member = object.__new__(cls)
        member._value_ = key
        member.labels = labels
        return member


class Count(_Named):
    """What is counted."""

    #: Steps (E), (F) and (G) of hand-overs, at both ends.
    HANDOVERS = ("handovers", "peer", "direction", "step", "result")
    #: Attempts of the workers at rows of the queues.
    DELIVERY_ATTEMPTS = ("delivery_attempts", "peer", "kind", "result")
    #: Deliveries that are not tried again.
    DELIVERY_FAILURES = ("delivery_failures", "peer", "kind", "reason")
    #: Refreshes of the tokens that this site has at peers.
    TOKEN_REFRESHES = ("token_refreshes", "peer", "result")
    #: Hand-overs of peers that this site has refused.
    HANDOVER_REFUSALS = ("handover_refusals", "peer", "cause")
    #: Requests of clients that did not prove who they are.
    CLIENT_AUTHENTICATION_FAILURES = ("client_authentication_failures", "reason")
    #: Links that began to work in both directions, that could not be made, or that ended.
    CONNECTIONS = ("connections", "peer", "result", "reason")


class Duration(_Named):
    """What is measured, in seconds."""

    #: From the moment at which a delivery was queued to its success.
    DELIVERY_AGE = ("delivery_age", "peer", "kind")
    #: One HTTP request to a peer, from the look-up of its name to the last byte of the response.
    HTTP_REQUEST = ("http_request_duration", "peer", "purpose", "outcome")


class Step(enum.StrEnum):
    """The spans of a trace, and the purposes of HTTP requests. Letters are the steps in figure 1 of
    draft-ietf-oauth-reciprocal-04, section 2."""

    AUTHORIZATION_REQUEST = "authorization_request"  #: (A)
    AUTHORIZATION_RESPONSE = "authorization_response"  #: (B)
    TOKEN_REQUEST = "token_request"  # noqa: S105  #: (C) and (D)
    CONSENT = "consent"  #: The user decides, before (E).
    DELIVERY = "delivery"  #: One attempt of a worker at a row.
    HANDOVER = "handover"  #: (E), at party A.
    HANDOVER_RECEIVED = "handover_received"  #: (E), at party B.
    REDEMPTION = "redemption"  #: (F) and (G), at party B.
    REDEMPTION_RECEIVED = "redemption_received"  #: (F) and (G), at party A.
    REFRESH = "refresh"
    REVOCATION = "revocation"


class Span:
    """A step that is under way. A listener can derive from it."""

    def set(self, name: str, value: str) -> None:
        """Add an attribute, such as the result."""

    def failed(self, reason: str) -> None:
        """Record that the step has failed.

        :param reason: a word such as the name of an exception class. It contains no secret.
        """


class Listener:
    """The base class of listeners. Override what the listener needs. Methods can be called in
    several threads at once."""

    def count(self, count: Count, labels: Mapping[str, str]) -> None:
        """Count one event."""

    def observe(self, duration: Duration, seconds: float, labels: Mapping[str, str]) -> None:
        """Record how long something took."""

    def span(
        self, step: Step, attributes: Mapping[str, str], parent: str
    ) -> AbstractContextManager[Span]:
        """Return a context manager that lasts as long as the step.

        :param parent: the ``traceparent`` of the step that caused this one, in another process or
            at another site; ``""`` if it is the step around this one, or if there is none.
        """
        return nullcontext(Span())

    def trace_parent(self) -> str:
        """Return the ``traceparent`` of the current step; ``""`` without a trace."""
        return ""


_listeners: list[Listener] = []
#: The short name of the peer and the step, for the labels of HTTP requests.
_current: ContextVar[tuple[str, str]] = ContextVar("reciprocal_oauth_step", default=("", "other"))


def is_on() -> bool:
    """Return whether anybody listens. If not, callers need not look up the values of labels."""
    return bool(_listeners)


def listen(listener: Listener) -> None:
    """Tell ``listener`` everything from now on."""
    _listeners.append(listener)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell ``listener`` everything in the ``with`` block. For tests."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def count(what: Count, **labels: str) -> None:
    """Count one event. A label that is not given is :data:`UNKNOWN`."""
    for listener in _listeners:
        try:
            listener.count(what, _complete(what, labels))
        except Exception as error:
            _log(listener, error)


def observe(what: Duration, seconds: float, **labels: str) -> None:
    """Record how long something took. A label that is not given is :data:`UNKNOWN`."""
    for listener in _listeners:
        try:
            listener.observe(what, max(seconds, 0.0), _complete(what, labels))
        except Exception as error:
            _log(listener, error)


@contextmanager
def span(step: Step, peer: str = UNKNOWN, *, parent: str = "", **attributes: str) -> Iterator[Span]:
    """Tell the listeners about a step as long as the ``with`` block lasts. An exception ends the
    step as failed, with the name of its class.

    :param peer: the short name of the peer.
    :param parent: see :meth:`Listener.span`.
    """
    if not _listeners:
        yield _NO_SPAN
        return
    reset = _current.set((peer, step.value))
    spans = _Spans([])
    try:
        with ExitStack() as stack:
            for listener in _listeners:
                spans.enter(stack, listener, step, {"peer": peer, **attributes}, parent)
            try:
                yield spans
            except Exception as error:
                spans.failed(type(error).__name__)
                raise
    finally:
        _current.reset(reset)


@contextmanager
def http_request(peer: str = UNKNOWN, purpose: str = "") -> Iterator[Callable[[str], None]]:
    """Measure one HTTP request. By default, the labels are those of the current step.

    :returns: a function that takes the outcome; without a call, the outcome is
        ``unreachable``.
    """
    if not _listeners:
        yield _ignore
        return
    current_peer, step = _current.get()
    outcomes = ["unreachable"]
    started_at = time.monotonic()
    try:
        yield outcomes.append
    finally:
        observe(
            Duration.HTTP_REQUEST,
            time.monotonic() - started_at,
            peer=peer or current_peer,
            purpose=purpose or step,
            outcome=outcomes[-1],
        )


def trace_parent() -> str:
    """Return the ``traceparent`` of the current step (W3C Trace Context, section 3.2), which a row
    or a request can carry; ``""`` without a trace."""
    for listener in _listeners:
        try:
            if found := valid_trace_parent(listener.trace_parent()):
                return found
        except Exception as error:
            _log(listener, error)
    return ""


def trace_headers() -> dict[str, str]:
    """Return the header with which a request continues the current trace at a peer; nothing without
    a trace. ``tracestate`` and ``baggage`` are never sent: they could contain anything."""
    parent = trace_parent()
    return {"traceparent": parent} if parent else {}


def trace_of_peer(header: str) -> str:
    """Return the trace that a request of a peer continues; ``""`` if there is none, if this site
    already has a trace of its own for the request, or if ``CONTINUE_PEER_TRACES`` is off.

    Call this only after the peer has authenticated: everybody else could fill the traces of this
    site (W3C Trace Context, section 7.2).

    :param header: the value of the header ``traceparent``.
    """
    if not _listeners or not settings.CONTINUE_PEER_TRACES or trace_parent():
        return ""
    return valid_trace_parent(header)


def valid_trace_parent(text: str) -> str:
    """Return a valid ``traceparent`` in version 00; ``""`` if ``text`` is not valid (W3C Trace
    Context, sections 3.2.2 and 4.3)."""
    found = _TRACE_PARENT.fullmatch(text) if len(text) <= 512 else None
    if found is None:
        return ""
    version, trace, parent, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest) or not trace.strip("0"):
        return ""
    # Of the flags, only those of version 00 are known: this is the sampled flag.
    return f"00-{trace}-{parent}-{int(flags, 16) & 1:02x}" if parent.strip("0") else ""


def install() -> None:
    """Make the listeners of the setting ``TELEMETRY`` listen. If one cannot be used, log an error
    and go on: the site works without it, and a system check reports it too."""
    from . import plugins

    for name in settings.TELEMETRY:
        try:
            listen(plugins.listener_class(name)())
        except ImproperlyConfigured as error:
            logger.error("Metrics or traces are missing: %s", error)
        except Exception:  # A listener of the site can raise any error.
            logger.exception("Metrics or traces are missing: %s cannot be used", name)


class _Spans(Span):
    """The spans of all listeners."""

    def __init__(self, spans: list[tuple[Listener, Span]]) -> None:
        self._spans = spans

    def enter(
        self,
        stack: ExitStack,
        listener: Listener,
        step: Step,
        attributes: Mapping[str, str],
        parent: str,
    ) -> None:
        try:
            opened = listener.span(step, attributes, parent)
            self._spans.append((listener, opened.__enter__()))
        except Exception as error:
            _log(listener, error)
        else:
            stack.callback(_leave, listener, opened)

    def set(self, name: str, value: str) -> None:
        for listener, each in self._spans:
            try:
                each.set(name, value)
            except Exception as error:
                _log(listener, error)

    def failed(self, reason: str) -> None:
        for listener, each in self._spans:
            try:
                each.failed(reason)
            except Exception as error:
                _log(listener, error)


_NO_SPAN = Span()


def _leave(listener: Listener, opened: AbstractContextManager[Span]) -> None:
    # The exception of the work is not passed on: its text and its traceback can contain secrets.
    try:
        opened.__exit__(None, None, None)
    except Exception as error:
        _log(listener, error)


def _ignore(outcome: str) -> None:
    pass


def _complete(what: Count | Duration, labels: Mapping[str, str]) -> dict[str, str]:
    return {name: str(labels.get(name, UNKNOWN)) for name in what.labels}


def _log(listener: Listener, error: Exception) -> None:
    # Where the listener fails while the work fails, Python chains the exception of the work to its
    # own. That one can contain secrets.
    error.__context__ = error.__cause__ = None
    logger.error(
        "%s failed; the work that it listens to goes on",
        type(listener).__qualname__,
        exc_info=error,
    )
