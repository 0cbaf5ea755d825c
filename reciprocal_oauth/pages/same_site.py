"""The return from a peer to a site whose session cookie is ``SameSite=Strict``.

Browsers do not send such a cookie with a request that another site starts, even after redirects. So
the authorization response arrives without a session. A page of this site then repeats the request,
and the browser sends the cookie.
"""

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.loader import render_to_string
from django.views.decorators.debug import sensitive_variables

#: The query parameter that marks the second request.
AGAIN = "same-site"


def lacks_strict_session(request: HttpRequest, query: QueryDict) -> bool:
    """Whether the browser may not have sent the session cookie, because another site started
    ``request``. Nothing may read or write the session then: that would replace the cookie.
    """
    return (
        django_settings.SESSION_COOKIE_SAMESITE == "Strict"
        and django_settings.SESSION_COOKIE_NAME not in request.COOKIES
        and AGAIN not in query
    )


@sensitive_variables()
def ask_again(query: QueryDict) -> HttpResponse:
    """Return a page that loads its own address again at once, without a script.

    It is rendered without the request, so that no context processor touches the session.
    """
    again = query.copy()
    again[AGAIN] = "1"
    context = {"again": f"?{again.urlencode()}"}
    return HttpResponse(render_to_string("reciprocal_oauth/callback_again.html", context))
