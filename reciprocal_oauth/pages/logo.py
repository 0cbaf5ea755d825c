"""Responds with the logo of a peer, as this site has fetched it."""

import hashlib

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.decorators import method_decorator
from django.utils.http import quote_etag
from django.views.generic import View

from ..compat import login_not_required
from ..models import PeerLogo

#: How long, in seconds, browsers keep a logo. Its address changes with each new image.
_MAX_AGE_SECONDS = 7 * 24 * 3600


@method_decorator(login_not_required, name="dispatch")
class LogoView(View):
    """The logo of an enabled peer. Everybody may see it: the page at the redirect URI of the peer
    shows its name to everybody too, and an app that uses the API has no session.

    The image comes from another site, so browsers must not take it for anything else (threat LG2):
    they do not guess its media type, and if it is opened as a page, nothing in it can run.
    """

    http_method_names = ("get", "head", "options")

    def get(self, request: HttpRequest, slug: str) -> HttpResponseBase:
        """Respond with the image, or with status 304 if the browser has it already.

        :raises Http404: there is no such peer, or this site has no logo of it.
        """
        logo = PeerLogo.objects.filter(peer__slug=slug, peer__enabled=True).exclude(media_type="")
        found = logo.exclude(peer__logo_uri="").first()
        if found is None:
            raise Http404
        content = bytes(found.content)
        etag = quote_etag(hashlib.sha256(content).hexdigest()[:32])
        response = HttpResponse(content, content_type=found.media_type)
        response["ETag"] = etag
        response["Cache-Control"] = f"public, max-age={_MAX_AGE_SECONDS}"
        response["X-Content-Type-Options"] = "nosniff"
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        # A front end at another origin, which uses the API, shows the logo too. It is no secret.
        response["Cross-Origin-Resource-Policy"] = "cross-origin"
        return get_conditional_response(request, etag, None, response) or response
