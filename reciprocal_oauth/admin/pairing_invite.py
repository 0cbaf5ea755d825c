"""The admin page on which an administrator invites another site."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from ..client.discovery import Metadata
from ..core.database import outside_transactions
from ..exceptions import PairingError, PeerError
from ..pairing import invitation, inviting
from ..presentation.host_name import host_in
from ..redaction.error_reports import holding_secrets
from .pairing_forms import FOR_SITE, InviteForm, WhoForm
from .pairing_rights import PairingPagesMixin, may_pair, may_renew

#: The name of the button of the second step.
_MAKE = "_make"


class PairingInviteMixin(PairingPagesMixin):
    """Adds the page *Invite another site*."""

    def get_urls(self) -> list[Any]:
        """Return the URLs of the admin class, and the URL of the page."""
        # The view waits for responses of the other site, so it is exempt from ATOMIC_REQUESTS.
        view = outside_transactions(holding_secrets(self.admin_site.admin_view(self.invite_view)))
        name = f"{self.opts.app_label}_{self.opts.model_name}_invite"
        return [path("invite/", view, name=name), *super().get_urls()]

    @sensitive_variables()
    def invite_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for whom the invitation is, then what both sites may do, and show the invitation.

        :raises PermissionDenied: the user may not add peers and applications.
        """
        typed = request.POST if request.method == "POST" else request.GET
        self.require(may_pair(request) or (bool(typed.get("renew")) and may_renew(request)))
        if problem := own_problem():
            self.message_user(request, problem, messages.ERROR)
        if request.method != "POST":
            initial = {name: typed[name] for name in ("address", "renew") if name in typed}
            return self._ask_for_whom(request, WhoForm(initial=initial))
        who = WhoForm(typed)
        if not who.is_valid():
            return self._ask_for_whom(request, who)
        metadata = None
        if who.cleaned_data["for_whom"] == FOR_SITE:
            try:
                metadata = inviting.look_up(who.cleaned_data["address"])
            except (PairingError, PeerError) as error:
                who.add_error("address", str(error).splitlines())
                return self._ask_for_whom(request, who)
        return self._offer_terms(request, typed, metadata)

    def _ask_for_whom(self, request: HttpRequest, form: WhoForm) -> HttpResponse:
        fieldsets = [(None, {"fields": ["for_whom", "address"]})]
        return self.render(
            request,
            "pairing_invite",
            gettext("Invite another site"),
            form=form,
            adminform=self.admin_form(form, fieldsets),
            host=None,
        )

    @sensitive_variables()
    def _offer_terms(
        self, request: HttpRequest, typed: QueryDict, metadata: Metadata | None
    ) -> HttpResponse:
        issuer = metadata.issuer if metadata else ""
        renewable = self.renewable(request, issuer, typed.get("renew", ""))
        self.require(may_pair(request) or bool(renewable))
        given: dict[str, Any] = {"metadata": metadata, "renewable": renewable}
        if _MAKE not in typed:
            names = ("for_whom", "address", "renew")
            initial = {name: typed.get(name, "") for name in names}
            return self._ask_for_offer(request, InviteForm(initial=initial, **given))
        form = InviteForm(typed, **given)
        if not form.is_valid():
            return self._ask_for_offer(request, form)
        self.require(may_renew(request) if form.renewed else may_pair(request))
        try:
            pairing, text = inviting.invite(
                form.terms(), partner=metadata, lifetime=form.chosen_lifetime(), user=request.user
            )
        except PairingError as error:
            form.refuse(error)
            return self._ask_for_offer(request, form)
        self.log_addition(request, pairing, gettext("Made an invitation."))
        return self.render(
            request,
            "pairing_invitation",
            gettext("Give this invitation to the other site"),
            pairing=pairing,
            invitation=text,
            host=host_in(issuer),
        )

    def _ask_for_offer(self, request: HttpRequest, form: InviteForm) -> HttpResponse:
        metadata = form.metadata
        names = ["peer", "slug", "asked_scope", "allowed_scope", "our_name", "lifetime", "enable"]
        return self.render(
            request,
            "pairing_invite",
            gettext("Invite another site"),
            form=form,
            adminform=self.admin_form(form, [(None, {"fields": names})]),
            host=host_in(metadata.issuer) if metadata else None,
            issuer=metadata.issuer if metadata else "",
            button=_MAKE,
        )


def own_problem() -> str:
    """Return why this site cannot pair with any site; ``""`` if it can."""
    try:
        inviting.require_pairings()
        invitation.require_own_addresses(invitation.own_issuer())
    except PairingError as error:
        return str(error)
    return ""
