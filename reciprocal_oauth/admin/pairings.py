"""The admin of pairings: how this site and other sites registered at each other. Nobody can edit a
pairing, but an administrator can confirm or withdraw it, or try again."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..core import scopes, site_address
from ..core.database import outside_transactions
from ..exceptions import PairingError
from ..models import Pairing, Peer
from ..pairing import display, due, inviting, plain_client
from ..pairing.check_number import check_number
from ..peers.findings import Check, State
from ..presentation import pairing_status
from ..presentation.host_name import host_in
from ..presentation.pairing_status import AgreedScope, Turn
from ..presentation.permissions import Permission, in_scope_words, in_words_of_peer
from .pairing_accept import PairingAcceptMixin
from .pairing_changes import PairingChangesMixin
from .pairing_forms import ConfirmForm
from .pairing_invite import PairingInviteMixin
from .pairing_rights import can_be_ended, can_be_rotated, may_pair, may_renew
from .read_only import ReadOnlyAdmin


@admin.register(Pairing)
class PairingAdmin(PairingInviteMixin, PairingAcceptMixin, PairingChangesMixin, ReadOnlyAdmin):
    """The admin of pairings."""

    list_display = ("other_site", "slug", "progress", "peer", "created_at")
    list_filter = ("state", "role")
    shown_with = ("peer",)
    search_help_text = _("Short name, name or address of the other site")
    ordering = ("-created_at",)
    change_list_template = "reciprocal_oauth/admin/pairing_change_list.html"

    class Media:
        """Adds the style sheet to the admin pages of pairings."""

        css: ClassVar = {"all": ["reciprocal_oauth/admin.css"]}

    def matching(self, word: str) -> Q:
        """Return a filter for the pairings that match ``word``."""
        names = ("slug", "name", "issuer", "expected_issuer")
        found = Q()
        for name in names:
            found |= Q(**{f"{name}__icontains": word})
        return found

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may view pairings. Who may pair may also view them."""
        return super().has_view_permission(request, obj) or may_pair(request) or may_renew(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the index page of the admin lists pairings for the user."""
        return super().has_module_permission(request) or self.has_view_permission(request)

    def get_urls(self) -> list[Any]:
        """Return the URLs of the admin class, and the URLs of what can be done with a pairing."""
        views: dict[str, Callable[..., HttpResponse]] = {
            "confirm": self.confirm_view,
            "retry": self.retry_view,
            "withdraw": self.withdraw_view,
        }
        own = [
            # Some of these views wait for the other site, so they are exempt from ATOMIC_REQUESTS.
            path(
                f"<path:object_id>/{name}/",
                outside_transactions(self.admin_site.admin_view(view)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    @admin.display(description=_("other site"))
    def other_site(self, pairing: Pairing) -> SafeString | str:
        """Return the host of the other site, and its name."""
        host = host_in(_issuer_of(pairing))
        shown = host.name if host else gettext("not known yet")
        if not pairing.name:
            return shown
        return format_html("{} (<bdi>{}</bdi>)", shown, pairing.name)

    @admin.display(description=_("state"), ordering="state")
    def progress(self, pairing: Pairing) -> str:
        """Return how far the pairing is."""
        return str(pairing.get_state_display())

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Render the list of pairings, with the buttons that begin one."""
        context = {"may_pair": may_pair(request), **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, context)
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Render the page of a pairing.

        :raises PermissionDenied: the user may not view pairings.
        :raises Http404: the pairing does not exist.
        """
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        pairing = self.pairing_of(request, object_id)
        return self.render(
            request, "pairing_page", str(pairing), **self._facts(request, pairing), original=None
        )

    def _facts(self, request: HttpRequest, pairing: Pairing) -> dict[str, Any]:
        """Return what the page of a pairing shows, without secrets."""
        issuer = _issuer_of(pairing)
        may_decide = self.may_decide(request, pairing)
        waits = pairing_status.turn_of(pairing) in (Turn.THIS_SITE, Turn.OTHER_SITE)
        ours = site_address.configured_issuer()
        return {
            "pairing": pairing,
            "state": pairing.get_state_display(),
            "next_step": pairing_status.what_next(pairing),
            "waits_for_itself": waits,
            "host": host_in(issuer),
            "issuer": issuer,
            "our_host": host_in(ours),
            "our_issuer": ours,
            "here": _here(pairing),
            "there": _there(pairing),
            "our_method": pairing_status.method_in_words(pairing.auth_method),
            "its_method": pairing_status.method_in_words(pairing.its_auth_method),
            "about": display.offered(pairing),
            "check_number": check_number(pairing),
            "findings": _findings(pairing),
            "may_fill_in": may_decide and _waits_for_endpoints(pairing),
            "may_confirm": may_decide and _waits_for_confirmation(pairing),
            "may_retry": may_decide and _can_be_retried(pairing),
            "may_withdraw": may_decide and pairing.is_under_way,
            "may_rotate": may_renew(request) and can_be_rotated(pairing),
            "may_end": may_renew(request) and can_be_ended(pairing),
        }

    def confirm_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask whether the site that has used the invitation is the right one. If the user confirms
        it, register this site there.

        :raises PermissionDenied: the user may not confirm the pairing.
        :raises Http404: the pairing does not exist.
        """
        pairing = self.pairing_of(request, object_id)
        self.require(self.may_decide(request, pairing))
        if not _waits_for_confirmation(pairing):
            text = gettext("This pairing does not wait for a confirmation.")
            return self.back_to(request, pairing, text, messages.WARNING)
        form = ConfirmForm(request.POST if request.method == "POST" else None, pairing=pairing)
        # Confirm exactly what the page has shown.
        is_same = request.POST.get("shown") == pairing.body_digest
        if request.method == "POST" and form.is_valid() and is_same:
            try:
                asked = None if pairing.is_bound else form.cleaned_data["asked_scope"]
                inviting.confirm(pairing, asked_scope=asked, user=request.user)
            except PairingError as error:
                return self.back_to(request, pairing, str(error), messages.ERROR)
            self.log_change(request, pairing, gettext("Confirmed."))
            due.attempt(pairing)
            return self.back_to(request, pairing)
        fields = [] if pairing.is_bound else ["asked_scope"]
        host = host_in(pairing.issuer)
        return self.render(
            request,
            "pairing_confirm",
            gettext("Confirm the pairing with %s") % (host.name if host else pairing.issuer),
            **self._facts(request, pairing),
            adminform=self.admin_form(form, [(None, {"fields": fields})]),
            form=form,
            original=pairing,
        )

    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Do now what is due for the pairing, and show its page.

        :raises PermissionDenied: the user may not do it.
        :raises Http404: the pairing does not exist.
        """
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        pairing = self.pairing_of(request, object_id)
        self.require(self.may_decide(request, pairing))
        if _can_be_retried(pairing):
            due.attempt(pairing)
            self.log_change(request, pairing, gettext("Tried again."))
        return self.back_to(request, pairing)

    def withdraw_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask whether to withdraw the invitation or to stop the pairing, and do so.

        :raises PermissionDenied: the user may not do it.
        :raises Http404: the pairing does not exist.
        """
        pairing = self.pairing_of(request, object_id)
        self.require(self.may_decide(request, pairing))
        if request.method == "POST":
            try:
                inviting.withdraw(pairing)
            except PairingError as error:
                return self.back_to(request, pairing, str(error), messages.WARNING)
            self.log_change(request, pairing, gettext("Withdrawn."))
            return self.back_to(request, pairing, gettext("The pairing was withdrawn."))
        title = gettext("Withdraw the pairing")
        facts = self._facts(request, pairing)
        return self.render(request, "pairing_withdraw", title, **facts, original=pairing)


def _waits_for_confirmation(pairing: Pairing) -> bool:
    return pairing.state == Pairing.State.ACCEPTED and bool(pairing.issuer)


def _waits_for_endpoints(pairing: Pairing) -> bool:
    """Return whether the form for a new peer can make the peer of ``pairing``. A peer that is
    renewed has its endpoints already; the command ``reciprocal_peer`` completes the pairing."""
    return plain_client.is_waiting(pairing) and not pairing.renews


def _can_be_retried(pairing: Pairing) -> bool:
    return pairing.state in Pairing.TO_SEND or pairing.task != Pairing.Task.NONE


def _findings(pairing: Pairing) -> list[dict[str, Any]]:
    """Return the findings of the test, in the words of today."""
    found = []
    for each in pairing.findings:
        if each.get("check") in Check.values and each.get("state") in State.values:
            found.append(
                {
                    "check": Check(each["check"]),
                    "state": State(each["state"]),
                    "reason": each.get("reason", ""),
                }
            )
    return found


def _issuer_of(pairing: Pairing) -> str:
    """Return the issuer of the other site; ``""`` if nobody has used the invitation yet, and it is
    for whoever has it. For a site that knows only RFC 7591, an administrator has entered it."""
    entered = pairing.peer.issuer if pairing.peer else ""
    return pairing.issuer or pairing.expected_issuer or entered


def _here(pairing: Pairing) -> dict[str, Any]:
    """Return what the other site may do here, in words."""
    words = scopes.described()
    return _access(pairing_status.scope_here(pairing), lambda scope: in_scope_words(scope, words))


def _there(pairing: Pairing) -> dict[str, Any]:
    """Return what this site may do at the other site, in words."""
    peer = Peer(slug=pairing.slug, scope_words=pairing.scope_words)
    return _access(pairing_status.scope_there(pairing), lambda scope: in_words_of_peer(scope, peer))


def _access(found: AgreedScope, in_words: Callable[[str], list[Permission]]) -> dict[str, Any]:
    return {
        "may": in_words(scopes.join(found.agreed)),
        "refused": in_words(scopes.join(found.dropped)),
        "is_known": found.is_known,
    }
