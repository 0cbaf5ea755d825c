"""The view with which an app begins a connection in the browser of the system (RFC 8252, section
6)."""

from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from ..core import site_address
from ..models import Peer
from ..party_a import app_starts
from .peer_serializers import StartUrlSerializer
from .problems import Forbidden
from .request_serializers import StartSerializer
from .throttling import CONNECTING
from .views import ApiView, require_return_to, require_startable


class StartView(ApiView):
    """Returns the URL of a page of this site that starts a connection to a peer.

    The app opens the URL in the browser of the system. The page works only if the browser is signed
    in as the person that this request acts for, so the URL is no login.
    """

    queryset = Peer.objects.filter(enabled=True)
    lookup_field = "slug"
    serializer_class = StartSerializer
    throttle_scope = CONNECTING

    def post(self, request: Request, slug: str) -> Response:
        """Return the URL of the page, with a signed start in its query.

        :raises Conflict: people cannot start at this site to connect with this peer.
        :raises Forbidden: the setting ``API_RETURN_TO`` does not allow ``return_to``, or the access
            token belongs to the application of a peer, or to none.
        """
        peer = self.get_object()
        require_startable(peer)
        sent = self.read(StartSerializer)
        require_return_to(sent.get("return_to", ""))
        start = app_starts.AppStart(
            user=str(request.user.pk),
            peer=str(peer.pk),
            client_id=self._client_id(),
            return_to=sent.get("return_to", ""),
            state=sent.get("state", ""),
        )
        base = site_address.base_url(request._request)
        page = site_address.url_of("reciprocal_oauth:start", peer.slug, base=base)
        url = f"{page}?{urlencode({'start': app_starts.sign(start)})}"
        data = {"url": url, "expires_in": app_starts.LIFETIME_SECONDS}
        return Response(StartUrlSerializer(data).data)

    def _client_id(self) -> str:
        """Return the client ID of the app, or an empty string for a front end with a session.

        :raises Forbidden: the access token belongs to the application of a peer, or to none that
            this site knows. Another authorization server can have issued such a token (RFC 7662),
            and then it may be a token of a peer too.
        """
        token: Any = self.request.auth
        if token is None:
            return ""
        if token.application is None:
            text = _("This access token belongs to no application that this site knows.")
            raise Forbidden("unknown_application", text)
        if app_starts.is_of_peer(token.application_id):
            text = _("The application of another site cannot start connections for a person.")
            raise Forbidden("own_access", text)
        return str(token.application.client_id)
