"""Calls a peer with a shorter time limit than usual, without losing what the peer sends later.

If this site closed the connection at the shorter limit, a peer that is only slow could have issued
tokens that nobody knows, so nobody could revoke them.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from django.views.decorators.debug import sensitive_variables

from ..exceptions import PeerUnreachable

T = TypeVar("T")


@sensitive_variables()
def within(seconds: float, call: Callable[[], T], *, late: Callable[[T], object]) -> T:
    """Return the result of ``call``, which runs in a thread of its own. It must not use the
    database.

    :param seconds: how long to wait.
    :param late: is called with the result, in that thread, if the result comes later.
    :raises PeerUnreachable: there is no result yet.
    :raises Exception: the error that ``call`` has raised in time.
    """
    future: Future[T] = Future()
    # The thread gets a copy of the context, so that its requests belong to the same trace.
    run = partial(copy_context().run, _run, call, future)
    threading.Thread(target=run, name="reciprocal-call", daemon=True).start()
    try:
        return future.result(timeout=max(seconds, 0))
    except TimeoutError:
        if future.done():
            return future.result()
        future.add_done_callback(lambda done: _pass_on(done, late))
        raise PeerUnreachable("There was no response within the time that is left.") from None


# The decorator of the caller has no effect in this thread.
@sensitive_variables()
def _run(call: Callable[[], T], future: "Future[T]") -> None:
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)


def _pass_on(future: "Future[T]", late: Callable[[T], object]) -> None:
    if future.exception() is None:
        late(future.result())
