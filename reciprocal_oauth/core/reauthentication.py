"""Asks a person for the password again before a link is made, if the site wants it (the setting
``REAUTHENTICATE``). A stranger at an open browser then cannot connect an account."""

from typing import cast

from django.http import HttpRequest, HttpResponse

from ..conf import settings
from . import plugins


def ask(request: HttpRequest, next_url: str) -> HttpResponse | None:
    """Return the response that asks the person, or ``None`` if nothing has to be asked.

    :param next_url: the path of this site to which the person comes back. It must be safe to open
        with GET.
    :raises ImproperlyConfigured: the setting names no function.
    """
    if not settings.REAUTHENTICATE:
        return None
    function = plugins.reauthentication(settings.REAUTHENTICATE)
    return cast(HttpResponse | None, function(request, next_url))
