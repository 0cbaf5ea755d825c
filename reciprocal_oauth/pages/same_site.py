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
    """Return whether the browser must repeat ``request`` so that it sends the session cookie.

    All must be true: the session cookie of this site is ``SameSite=Strict``, ``request`` contains
    no session cookie, and ``request`` is not the repeated request.

    If the result is ``True``, do not use the session for ``request``. Django could create a new
    session, and the new cookie would replace the session cookie that the browser already has.
    """
    return (
        django_settings.SESSION_COOKIE_SAMESITE == "Strict"
        and django_settings.SESSION_COOKIE_NAME not in request.COOKIES
        and AGAIN not in query
    )


@sensitive_variables()
def ask_again(query: QueryDict) -> HttpResponse:
    """Return a page that makes the browser repeat the request. The page needs no JavaScript.

    Render the template without the request. With the request, a context processor could use the
    session, and Django could then set a new session cookie.
    """
    again = query.copy()
    again[AGAIN] = "1"
    context = {"again": f"?{again.urlencode()}"}
    return HttpResponse(render_to_string("reciprocal_oauth/callback_again.html", context))
