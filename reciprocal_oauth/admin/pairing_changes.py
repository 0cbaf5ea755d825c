"""What an administrator can do with a pairing that is complete: renew it, get a new client secret,
and end it. The buttons are on the page of the peer and on the page of the pairing."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext

from ..core.database import outside_transactions
from ..exceptions import PairingError, PeerError
from ..models import Pairing, Peer
from ..pairing import renewing
from .pairing_rights import PairingPagesMixin, can_be_ended, can_be_rotated, may_renew


class PairingChangesMixin(PairingPagesMixin):
    """Adds the pages that change a complete pairing."""

    def get_urls(self) -> list[Any]:
        """Return the URLs of the admin class, and the URLs of these pages."""
        views: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "renew": ("renew/<int:peer_pk>/", self.renew_view),
            "rotate": ("<path:object_id>/rotate/", self.rotate_view),
            "use_key": ("<path:object_id>/use-key/", self.use_key_view),
            "end": ("<path:object_id>/end/", self.end_view),
        }
        own = [
            path(
                route,
                outside_transactions(self.admin_site.admin_view(view)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )
            for name, (route, view) in views.items()
        ]
        return [*own, *super().get_urls()]

    def renew_view(self, request: HttpRequest, peer_pk: int) -> HttpResponse:
        """Ask which of the two sites invites, to renew a peer.

        :raises PermissionDenied: the user may not change peers and applications.
        :raises Http404: the peer does not exist, or cannot be renewed.
        """
        self.require(may_renew(request))
        peer = get_object_or_404(Peer, pk=peer_pk, dialect="ietf")
        begin = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}"
        renew = {"renew": str(peer.pk)}
        invite = urlencode({**renew, "address": peer.issuer})
        return self.render(
            request,
            "pairing_renew",
            gettext("Renew %s") % peer,
            invite_url=f"{reverse(f'{begin}_invite')}?{invite}",
            accept_url=f"{reverse(f'{begin}_accept')}?{urlencode(renew)}",
        )

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Get a new client secret for this site at the other site (RFC 7592, section 2.2).

        :raises PermissionDenied: the user may not change peers and applications.
        :raises Http404: the pairing does not exist, or has no secret to replace.
        """
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        pairing = self.pairing_of(request, object_id)
        self.require(may_renew(request))
        if not can_be_rotated(pairing):
            raise Http404
        return self._replace(
            request,
            pairing,
            renewing.rotate,
            asked=gettext("Asked the other site for a new client secret."),
            done=gettext("This site has a new client secret there."),
        )

    def use_key_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let this site sign with its key there, in place of its client secret.

        :raises PermissionDenied: the user may not change peers and applications.
        :raises Http404: the pairing does not exist, or this site has no secret there.
        """
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        pairing = self.pairing_of(request, object_id)
        self.require(may_renew(request))
        if not can_be_rotated(pairing):
            raise Http404
        return self._replace(
            request,
            pairing,
            renewing.use_key,
            asked=gettext("Asked the other site to accept the key of this site."),
            done=gettext(
                "This site signs with its key there. Its client secret is not good any more."
            ),
        )

    def _replace(
        self,
        request: HttpRequest,
        pairing: Pairing,
        replace: Callable[[Pairing], None],
        *,
        asked: str,
        done: str,
    ) -> HttpResponse:
        """Replace the credentials of this site at the other site, and show the page of the pairing.

        :param asked: what the history says.
        :param done: what the page says if the other site has replaced them.
        """
        try:
            replace(pairing)
        except (PairingError, PeerError) as error:
            return self.back_to(request, pairing, str(error), messages.ERROR)
        self._log(request, pairing, asked)
        if pairing.task == Pairing.Task.ROTATE:
            text = gettext("The other site cannot be reached now. This site tries again.")
            return self.back_to(request, pairing, text, messages.WARNING)
        return self.back_to(request, pairing, done)

    def end_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask whether to end the pairing, and end it.

        :raises PermissionDenied: the user may not change peers and applications.
        :raises Http404: the pairing does not exist, or is not complete.
        """
        pairing = self.pairing_of(request, object_id)
        self.require(may_renew(request))
        if not can_be_ended(pairing):
            raise Http404
        if request.method != "POST":
            title = gettext("End the pairing with %s") % pairing.peer
            links = renewing.count_links(pairing)
            return self.render(
                request, "pairing_end", title, pairing=pairing, links=links, original=pairing
            )
        try:
            renewing.end(pairing)
        except PairingError as error:
            return self.back_to(request, pairing, str(error), messages.ERROR)
        self._log(request, pairing, gettext("Ended."))
        return self.back_to(request, pairing, gettext("The pairing has ended."))

    def _log(self, request: HttpRequest, pairing: Pairing, text: str) -> None:
        for row in (pairing, pairing.peer):
            if row is not None:
                self.log_change(request, row, text)
