"""Keeps codes, tokens and secrets out of Django's error reports.

A report shows the request as it arrived and, as HTML, the variables of every frame. Django makes
one of every exception, and of every answer of 500 and above.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.views.decorators.debug import sensitive_variables

View = Callable[..., HttpResponseBase]

#: Where WSGI servers keep the address as it arrived (gunicorn; uWSGI and mod_wsgi), and where
#: proxies do: they may have written it in another way.
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
    """The query, taken off the request: error reports show it, and templates of the site like to
    put ``request.get_full_path()`` into links, that of the login page for one."""
    try:
        return request.GET
    finally:
        _hide_query(request)  # Also of a request that has too many parameters to be read.


def _hide_query(request: HttpRequest) -> None:
    request.GET = QueryDict()
    query = request.META.get("QUERY_STRING", "")
    request.META["QUERY_STRING"] = ""
    for name, value in request.META.items():
        is_copy = name in _RAW_ADDRESSES or (query and query in str(value))
        if is_copy and isinstance(value, str):
            request.META[name] = value.partition("?")[0]
    request.__dict__.pop("headers", None)  # Django keeps a copy there once it was asked for.


def holding_secrets(view: View) -> View:
    """Decorate a view whose request, answer or variables hold secrets: no error report shows them.

    Where all goes well the request stays as it is.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return _guard(request, lambda: view(request, *args, **kwargs))

    return guarded


@sensitive_variables()
def _guard(request: HttpRequest, call: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    _hide_form(request)
    try:
        response = call()
    except Exception:
        _hide_form(request)  # DOT's token view marks some of the fields, and no others.
        _hide_query(request)
        raise
    if not getattr(response, "is_rendered", True):
        _guard_rendering(request, response)
    elif response.status_code >= 400:
        _hide_form(request)
        _hide_query(request)
    return response


def _guard_rendering(request: HttpRequest, response: Any) -> None:
    """Django renders template responses after the view has returned."""

    def render() -> HttpResponseBase:
        del response.render  # The method of the class again: caches pickle what is rendered.
        return _guard(request, response.render)

    response.render = render


def _hide_form(request: Any) -> None:
    request.sensitive_post_parameters = "__ALL__"
