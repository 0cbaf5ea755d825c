"""DOT's authorization endpoint, which also sends the parameter ``reciprocal`` to peers.

RFC 6749, section 3.1; draft-ietf-oauth-reciprocal-04, section 2.1. With the parameter, this site
asks the peer for access to the person's account at the peer.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from oauth2_provider.models import get_application_model
from oauth2_provider.views import AuthorizationView as DOTAuthorizationView
from oauthlib.oauth2.rfc6749 import errors

from ..compat import login_not_required, oauth2_settings
from ..conf import settings
from ..core import reauthentication
from ..core.scopes import described, in_words
from ..links import grant_policy
from ..links.incoming_access import peer_of
from ..pages.headers import ProtectedPageMixin
from ..pages.refusal import not_allowed
from ..party_b import scope_request
from ..redaction.error_reports import holding_secrets
from .issuer import add_issuer


class _QuestionRequired(Exception):
    """This exception is raised if DOT is about to grant access to a peer without showing the
    consent page. The view catches it, and shows the page."""


# holding_secrets hides local variables in error reports, because DOT and oauthlib keep the new code
# in local variables. login_not_required switches off Django's LoginRequiredMiddleware for this
# view. If a person is not signed in, the view itself redirects to the login page, or sends an error
# to the client.
@method_decorator([holding_secrets, login_not_required], name="dispatch")
class AuthorizationView(ProtectedPageMixin, DOTAuthorizationView):
    """DOT's authorization view, with the security headers and the CSRF check that all pages of this
    app have (RFC 6749, sections 10.12 and 10.13).

    If DOT is set to add the issuer to authorization responses, this view adds it to all of them,
    including error responses (RFC 9207, section 2). There are three more differences if the client
    is the application of a peer:

    - Authorization responses contain ``reciprocal`` (draft-ietf-oauth-reciprocal-04, section 2.1).
    - The person always sees the consent page (RFC 6749, section 10.2). DOT would skip the page if
      the client sends ``approval_prompt=auto``, or if the site sets ``REQUEST_APPROVAL_PROMPT`` or
      ``skip_authorization``. A peer could then get tokens without the person's knowledge.
    - The site's own rules (the setting ``MAY_AUTHORIZE``) are checked twice: when the page is
      requested and when its form is posted.
    """

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the consent page. If the site's own rules refuse the access, show a page that says
        so. If the site asks for the password again before a link is made, ask first."""
        if question := self._reauthentication(request.GET.get("client_id", "")):
            return question
        try:
            response = super().get(request, *args, **kwargs)
        except _QuestionRequired:
            # DOT has already stored the values for the consent page in oauth2_data. Show the page.
            response = self.render_to_response(self.get_context_data(**self.oauth2_data))
        asked = self.oauth2_data
        if "application" in asked and not self._site_allows(asked["application"], asked["scopes"]):
            return self._not_allowed_page(
                asked["application"], asked["redirect_uri"], asked["state"]
            )
        return response

    def form_valid(self, form: Any) -> HttpResponse:
        """Carry out what the person has chosen on the consent page. If the person allows the access
        but the site's own rules refuse it, show a page that says so."""
        sent = form.cleaned_data
        if sent["allow"] and (question := self._reauthentication(sent["client_id"])):
            return question
        if sent["allow"] and grant_policy.has_rules():
            client = get_application_model().objects.filter(client_id=sent["client_id"]).first()
            if not self._site_allows(client, sent["scope"].split()):
                return self._not_allowed_page(client, sent["redirect_uri"], sent["state"])
        return super().form_valid(form)

    def _reauthentication(self, client_id: str) -> HttpResponse | None:
        """Return the response that asks the person for the password again, if the site wants it and
        the client is a peer. The person comes back to this page, which then asks about the access.
        """
        if not settings.REAUTHENTICATE or not self.request.user.is_authenticated:
            return None
        client = get_application_model().objects.filter(client_id=client_id).first()
        if peer_of(client) is None:
            return None
        return reauthentication.ask(self.request, self.request.get_full_path())

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Describe scopes that this site has left without a description: DOT would show an empty
        line for each. Add ``peer``, the peer that asks; ``None`` if the client is no peer."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        context["peer"] = peer_of(context.get("application"))
        if "scopes_descriptions" in context:
            words = described()
            context["scopes_descriptions"] = [in_words(token, words) for token in context["scopes"]]
        return context

    def _site_allows(self, client: Any, scopes: list[str]) -> bool:
        if not grant_policy.has_rules() or peer_of(client) is None:
            return True
        return grant_policy.allows(self.request.user, client, scopes, self.request)

    def _not_allowed_page(self, client: Any, redirect_uri: str, state: str) -> HttpResponse:
        """Return a page that tells the person that the site's own rules refuse the access. The link
        on the page leads back to the peer, with the error ``access_denied`` (RFC 6749, section
        4.1.2.1)."""
        back = ""
        if client.redirect_uri_allowed(redirect_uri):
            separator = "&" if "?" in redirect_uri else "?"
            denied = errors.AccessDeniedError(state=state).urlencoded
            back = self.redirect(f"{redirect_uri}{separator}{denied}", client)["Location"]
        return not_allowed(self.request, client.reciprocal_peer, back)

    def create_authorization_response(
        self, request: HttpRequest, scopes: str, credentials: dict[str, Any], allow: bool
    ) -> tuple[str, Any, Any, int]:
        """Return DOT's authorization response, with ``reciprocal`` added (RFC 6749, section 4.1.2).

        :raises _QuestionRequired: DOT would grant access to a peer although the person has not
            posted the form of the consent page.
        """
        client = get_application_model().objects.filter(client_id=credentials["client_id"]).first()
        if allow and request.method != "POST" and peer_of(client) is not None:
            raise _QuestionRequired
        uri, headers, body, status = super().create_authorization_response(
            request, scopes, credentials, allow
        )
        return scope_request.add_to_redirect(uri, client), headers, body, status

    def redirect(self, redirect_to: str, application: Any) -> HttpResponse:
        """Redirect to the client. If DOT is set to add the issuer, add it to every authorization
        response (RFC 9207, section 2).

        DOT itself adds the issuer only to responses with a code or a token.
        """
        if oauth2_settings.COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS:
            issuer = oauth2_settings.oauth2_authorization_server_issuer(self.request)
            redirect_to = add_issuer(redirect_to, issuer)
        return super().redirect(redirect_to, application)
