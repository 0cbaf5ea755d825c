"""Coming back from the peer where the site's session cookie is ``SameSite=Strict``.

Browsers keep such a cookie back from a request that another site leads to, redirects included. So
the peer's answer arrives as that of a stranger. It is asked for once more by a page of this site,
and then the cookie comes along.
"""

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.loader import render_to_string
from django.views.decorators.debug import sensitive_variables

#: Says in the query that this is the second request.
AGAIN = "same-site"


def lacks_strict_session(request: HttpRequest, query: QueryDict) -> bool:
    """Whether the session's cookie may have been kept back from ``request``, because another site
    led to it. Nothing that reads or writes the session may run then: it would replace the cookie.
    """
    return (
        django_settings.SESSION_COOKIE_SAMESITE == "Strict"
        and django_settings.SESSION_COOKIE_NAME not in request.COOKIES
        and AGAIN not in query
    )


@sensitive_variables()
def ask_again(query: QueryDict) -> HttpResponse:
    """A page that leads to its own address once more, at once, without a script.

    It is made without the request, so that no context processor of the site touches the session.
    """
    again = query.copy()
    again[AGAIN] = "1"
    context = {"again": f"?{again.urlencode()}"}
    return HttpResponse(render_to_string("reciprocal_oauth/callback_again.html", context))
