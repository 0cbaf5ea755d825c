"""Hides codes, tokens and secrets from Django's error reports.

Django makes a report for each exception, and for each response with a status of 500 or above. A
report shows the request and, in its HTML form, the variables of every frame.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.views.decorators.debug import sensitive_variables

View = Callable[..., HttpResponseBase]

#: Keys of ``request.META`` in which servers (gunicorn, uWSGI, mod_wsgi) and proxies copy the URL,
#: perhaps encoded in another way.
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
    """Remove the query from the request and return it.

    Otherwise error reports show it, and so do templates of the site that use
    ``request.get_full_path()``, for example in a link to the login page.
    """
    try:
        return request.GET
    finally:
        _hide_query(request)  # Also if request.GET raises an error, for too many parameters.


def _hide_query(request: HttpRequest) -> None:
    request.GET = QueryDict()
    query = request.META.get("QUERY_STRING", "")
    request.META["QUERY_STRING"] = ""
    for name, value in request.META.items():
        is_copy = name in _RAW_ADDRESSES or (query and query in str(value))
        if is_copy and isinstance(value, str):
            request.META[name] = value.partition("?")[0]
    request.__dict__.pop("headers", None)  # Django caches a copy of META here.


def holding_secrets(view: View) -> View:
    """Decorate a view so that error reports show no secrets of its request, response or variables.

    The request is changed only if the view fails.
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
        _hide_form(request)  # Again: DOT's token view has replaced it by a list of some fields.
        _hide_query(request)
        raise
    if not getattr(response, "is_rendered", True):
        _guard_rendering(request, response)
    elif response.status_code >= 400:
        _hide_form(request)
        _hide_query(request)
    return response


def _guard_rendering(request: HttpRequest, response: Any) -> None:
    """Hide the secrets of the request also when the rendering of ``response`` fails. Django renders
    a template response after the view has returned."""

    def render() -> HttpResponseBase:
        # Restore the method of the class: caches pickle the rendered response.
        del response.render
        return _guard(request, response.render)

    response.render = render


def _hide_form(request: Any) -> None:
    request.sensitive_post_parameters = "__ALL__"
