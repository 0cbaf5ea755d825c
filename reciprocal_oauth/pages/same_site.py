"""Handles the return from a peer if the session cookie of this site is ``SameSite=Strict``.

When a peer redirects the browser to this site, the browser does not send such a cookie. So the
authorization response arrives without the session. This site then returns a page that repeats the
request. The repeated request comes from this site, so the browser sends the cookie.
"""

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.loader import render_to_string
from django.views.decorators.debug import sensitive_variables

#: The query parameter that marks the repeated request.
AGAIN = "same-site"


def lacks_strict_session(request: HttpRequest, query: QueryDict) -> bool:
    """Return whether the session cookie is missing, perhaps because it is ``SameSite=Strict`` and
    another site started ``request``.

    If so, do not use the session, because a new session cookie could replace the existing one.
    """
    return (
        django_settings.SESSION_COOKIE_SAMESITE == "Strict"
        and django_settings.SESSION_COOKIE_NAME not in request.COOKIES
        and AGAIN not in query
    )


@sensitive_variables()
def ask_again(query: QueryDict) -> HttpResponse:
    """Return a page that makes the browser repeat the request, without a script.

    The template is rendered without the request, so that no context processor uses the session.
    """
    again = query.copy()
    again[AGAIN] = "1"
    context = {"again": f"?{again.urlencode()}"}
    return HttpResponse(render_to_string("reciprocal_oauth/callback_again.html", context))
