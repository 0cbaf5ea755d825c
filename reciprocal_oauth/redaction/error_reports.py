"""Hides codes, tokens and secrets from Django's error reports.

Django makes an error report for each unhandled exception in a view, and for each response with a
status of 500 or above. A report shows the request. The HTML version also shows the variables of all
frames in the traceback.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.views.decorators.debug import sensitive_variables

View = Callable[..., HttpResponseBase]

#: The keys of ``request.META`` to which a server (gunicorn, uWSGI, mod_wsgi) or a proxy writes a
#: copy of the URL. Such a copy may be encoded differently, so a search for the text of the query
#: would not always find it.
_RAW_ADDRESSES = frozenset(
    {
        "RAW_URI",
        "REQUEST_URI",
        "HTTP_X_ENVOY_ORIGINAL_PATH",
        "HTTP_X_FORWARDED_URI",
        "HTTP_X_ORIGINAL_URI",
        "HTTP_X_ORIGINAL_URL",
        "HTTP_X_REWRITE_URL",
    }
)


def take_query(request: HttpRequest) -> QueryDict:
    """Remove the query parameters from ``request``, and return them.

    The query of an authorization response contains the authorization code (RFC 6749, section
    4.1.2). If the query stayed in ``request``, error reports would show the code, and so would each
    template that uses ``request.get_full_path()``, for example in a link to the login page.

    :raises SuspiciousOperation: the query has too many parameters. It is removed all the same.
    """
    try:
        return request.GET
    finally:
        _hide_query(request)  # Do this even if request.GET has raised an error.


def _hide_query(request: HttpRequest) -> None:
    request.GET = QueryDict()
    query = request.META.get("QUERY_STRING", "")
    request.META["QUERY_STRING"] = ""
    for name, value in request.META.items():
        is_copy = name in _RAW_ADDRESSES or (query and query in str(value))
        if is_copy and isinstance(value, str):
            request.META[name] = value.partition("?")[0]
    request.__dict__.pop("headers", None)  # Remove the copy of META that Django has cached.


def holding_secrets(view: View) -> View:
    """Decorate a view so that error reports show no secrets in its request, response or variables.

    The view can read the query string of the URL, because it stays in the request while the view
    runs. It is removed if the view raises an exception or returns an error response.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return _guard(request, lambda: view(request, *args, **kwargs))

    return guarded


@sensitive_variables()
def _guard(request: HttpRequest, call: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    hide_form(request)
    try:
        response = call()
    except Exception:
        # Mark all form fields as sensitive again, because a decorator of DOT's token view has
        # replaced this mark with a list of only some fields.
        hide_form(request)
        _hide_query(request)
        raise
    if not getattr(response, "is_rendered", True):
        _guard_rendering(request, response)
    elif response.status_code >= 400:
        hide_form(request)
        _hide_query(request)
    return response


def _guard_rendering(request: HttpRequest, response: Any) -> None:
    """Make sure that the secrets in ``request`` are hidden if the rendering of ``response`` fails.
    A template response needs this, because Django renders it after the view has returned."""

    def render() -> HttpResponseBase:
        # Delete the attribute ``render``, which holds this local function: caches pickle the
        # rendered response, and a local function cannot be pickled. From now on,
        # ``response.render`` is the method of the class again.
        del response.render
        return _guard(request, response.render)

    response.render = render


def hide_form(request: Any) -> None:
    """Hide all form fields of ``request`` in error reports."""
    request.sensitive_post_parameters = "__ALL__"
