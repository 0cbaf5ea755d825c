"""Asks a person for the password again with django-allauth, before a link is made.

A site switches it on with ``RECIPROCAL_OAUTH["REAUTHENTICATE"] = "allauth"``.
"""

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import urlencode

try:
    from allauth.account.adapter import get_adapter
    from allauth.account.decorators import reauthentication_required
    from allauth.core.exceptions import ReauthenticationRequired
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("allauth"):
        raise
    raise ImportError("django-allauth is not installed; install django-allauth.") from error


def reauthenticate(request: HttpRequest, next_url: str) -> HttpResponse | None:
    """Return a redirect to the page of django-allauth that asks for the password, or for another
    proof that it knows for this person. Return ``None`` if the person has given it in the last
    ``ACCOUNT_REAUTHENTICATION_TIMEOUT`` seconds, or if django-allauth knows none.

    :param next_url: where the person comes back to.
    """
    try:
        _nothing(request)
    except ReauthenticationRequired:
        methods = get_adapter().get_reauthentication_methods(request.user)
        if methods:
            query = urlencode({REDIRECT_FIELD_NAME: next_url})
            return HttpResponseRedirect(f"{methods[0]['url']}?{query}")
    return None


@reauthentication_required
def _nothing(request: HttpRequest) -> None:
    """Do nothing. The decorator raises an exception if the person has to be asked."""
