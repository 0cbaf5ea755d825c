"""Keeps the client secret that a user has entered on the page of a peer, when the page is shown
again after an error or a look-up."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables

from .sealed import opened, seal

_SECRET, _SEALED = "client_secret", "sealed_secret"
_PURPOSE = "reciprocal_oauth.admin.peer_secret"


class PeerSecretMixin(admin.ModelAdmin):
    """Puts the client secret into a hidden field, encrypted for the user who entered it. If the
    user sends the page again and leaves the secret blank, the sealed one is used."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Render the form of a peer, or save the peer."""
        keep_secret(request)
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return response


@sensitive_variables()
def keep_secret(request: HttpRequest) -> None:
    """Seal the client secret in the form, or use the sealed one. A sealed secret that is too old or
    not for this user stays in the form, which then reports it."""
    if request.method != "POST" or _SECRET not in request.POST:
        return
    typed = request.POST.copy()
    secret = typed.get(_SECRET, "")
    if not secret and typed.get(_SEALED):
        secret = opened(str(typed[_SEALED]), _PURPOSE, request.user).get("secret", "")
    if secret:
        typed[_SECRET] = secret
        typed[_SEALED] = seal({"secret": secret}, _PURPOSE, request.user)
    else:
        typed[_SEALED] = "expired" if typed.get(_SEALED) else ""
    request.POST = typed  # type: ignore[assignment]
