"""The admin page on which an administrator accepts an invitation of another site."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from ..core.database import outside_transactions
from ..exceptions import PairingError, PeerError
from ..pairing import accepting, sending
from ..pairing.accepting import Offer
from ..presentation import pairing_status
from ..presentation.host_name import host_in
from ..redaction.error_reports import holding_secrets
from ..secret import Secret
from . import sealed
from .pairing_forms import AcceptForm, InvitationForm
from .pairing_invite import own_problem
from .pairing_rights import PairingPagesMixin, may_pair, may_renew

#: The name of the button of the second step.
_PAIR = "_pair"
_PURPOSE = "reciprocal_oauth.admin.accept"


class PairingAcceptMixin(PairingPagesMixin):
    """Adds the page *Accept an invitation*.

    The invitation contains a secret code. Between the two steps, it is kept in a hidden field of
    the form, encrypted for the user who has pasted it. So it is in no URL, session or history.
    """

    def get_urls(self) -> list[Any]:
        """Return the URLs of the admin class, and the URL of the page."""
        # The view waits for responses of the other site, so it is exempt from ATOMIC_REQUESTS.
        view = outside_transactions(holding_secrets(self.admin_site.admin_view(self.accept_view)))
        name = f"{self.opts.app_label}_{self.opts.model_name}_accept"
        return [path("accept/", view, name=name), *super().get_urls()]

    @method_decorator(sensitive_variables())
    @method_decorator(sensitive_post_parameters("invitation", "sealed"))
    def accept_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the invitation, then show whom it is from and ask what both sites may do, and
        pair.

        :raises PermissionDenied: the user may not add peers and applications.
        """
        typed = request.POST if request.method == "POST" else request.GET
        self.require(may_pair(request) or (bool(typed.get("renew")) and may_renew(request)))
        if problem := own_problem():
            self.message_user(request, problem, messages.ERROR)
        renew = typed.get("renew", "")
        if request.method != "POST":
            return self._ask_for_invitation(request, InvitationForm(initial={"renew": renew}))
        kept = sealed.opened(typed.get("sealed", ""), _PURPOSE, request.user)
        pasted = typed.get("invitation", "").strip()
        text = Secret(pasted or kept.get("text", ""))
        # Never send the text back to the browser, except encrypted.
        form = InvitationForm({"invitation": "", "renew": renew})
        form.errors.clear()
        if not text:
            is_old = bool(typed.get("sealed"))
            form.add_error("invitation", _expired() if is_old else gettext("Paste the invitation."))
            return self._ask_for_invitation(request, form)
        try:
            offer = accepting.look_up(text.reveal())
        except PairingError as error:
            form.add_error("invitation", str(error))
            return self._ask_for_invitation(request, form)
        except PeerError as error:
            form.add_error("invitation", str(error).splitlines())
            return self._ask_for_invitation(request, form, _sealed(text, "", request.user))
        return self._show_offer(request, typed, offer, text, kept.get("method", ""))

    def _ask_for_invitation(
        self, request: HttpRequest, form: InvitationForm, hidden: str = ""
    ) -> HttpResponse:
        if hidden:
            form.fields["invitation"].required = False
            form.fields["invitation"].help_text = gettext(
                "The invitation is kept for one hour. Press “Look up” to try again."
            )
        fieldsets = [(None, {"fields": ["invitation"]})]
        return self.render(
            request,
            "pairing_accept",
            gettext("Accept an invitation"),
            form=form,
            adminform=self.admin_form(form, fieldsets),
            sealed=hidden,
        )

    @sensitive_variables()
    def _show_offer(
        self, request: HttpRequest, typed: QueryDict, offer: Offer, text: Secret, method: str
    ) -> HttpResponse:
        renew = typed.get("renew", "")
        renewable = self.renewable(request, offer.metadata.issuer, renew)
        self.require(may_pair(request) or bool(renewable))
        given: dict[str, Any] = {"metadata": offer.metadata, "renewable": renewable}
        hidden = _sealed(text, offer.auth_method, request.user)
        if _PAIR not in typed:
            initial = {"sealed": hidden, "renew": renew}
            return self._ask_about_offer(request, offer, AcceptForm(initial=initial, **given))
        data = typed.copy()
        data["sealed"] = hidden
        form = AcceptForm(data, **given)
        if form.is_valid() and offer.auth_method != method:
            # What the administrator has seen is no longer so. They decide again.
            form.add_error(
                None, gettext("The other site has changed meanwhile. Please check it again.")
            )
        if not form.is_valid():
            return self._ask_about_offer(request, offer, form)
        self.require(may_renew(request) if form.renewed else may_pair(request))
        try:
            pairing = accepting.accept(offer, form.terms(), user=request.user)
        except PairingError as error:
            form.refuse(error)
            return self._ask_about_offer(request, offer, form)
        self.log_addition(request, pairing, gettext("Accepted an invitation."))
        sending.send(pairing)
        return self.back_to(request, pairing)

    def _ask_about_offer(
        self, request: HttpRequest, offer: Offer, form: AcceptForm
    ) -> HttpResponse:
        fieldsets = [
            (
                None,
                {"fields": ["peer", "slug", "asked_scope", "allowed_scope", "our_name", "enable"]},
            )
        ]
        return self.render(
            request,
            "pairing_terms",
            gettext("Pair with another site"),
            form=form,
            adminform=self.admin_form(form, fieldsets),
            host=host_in(offer.metadata.issuer),
            issuer=offer.metadata.issuer,
            metadata=offer.metadata,
            method=pairing_status.method_in_words(offer.auth_method),
            button=_PAIR,
        )


@sensitive_variables()
def _sealed(text: Secret, method: str, user: Any) -> str:
    """Return the invitation and what the page has said about it, encrypted for ``user``."""
    return sealed.seal({"text": text.reveal(), "method": method}, _PURPOSE, user)


def _expired() -> str:
    return gettext("You pasted the invitation more than an hour ago. Paste it again.")
