"""The admin of peers. A peer is another site with which users can link their accounts. The row of a
peer contains the addresses of the other site, the client credentials of this site at the other
site, and the application (the DOT client) of the other site at this site."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import unquote
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from ..core import site_address
from ..core.database import on_commit
from ..core.local_time import in_words
from ..delivery import pausing
from ..links import outgoing_access
from ..models import Link, Peer, peer_validation
from ..party_a import resending
from ..peers import save_warnings
from ..presentation import delivery_text
from . import peer_fieldsets
from .attempts import PeerAttemptsMixin
from .confirmation import ConfirmationMixin
from .overview_page import OverviewMixin
from .peer_connection_check import PeerConnectionCheckMixin
from .peer_discovery import BY_HAND, found_on, is_first_step
from .peer_form import PeerForm
from .peer_logo import PeerLogoMixin
from .peer_pairing import PeerPairingMixin
from .peer_plain_client import PeerPlainClientMixin
from .peer_reconfiguration import PeerReconfigurationMixin
from .peer_registration import PeerRegistrationMixin
from .peer_secret import PeerSecretMixin
from .peer_sheet import PeerSheetMixin
from .peer_sheet_import import PeerSheetImportMixin
from .peer_vendor import PeerVendorMixin
from .read_only import NoSecretLookupsMixin


@admin.register(Peer)
class PeerAdmin(
    ConfirmationMixin,
    OverviewMixin,
    PeerAttemptsMixin,
    PeerPairingMixin,
    PeerVendorMixin,
    PeerPlainClientMixin,
    PeerSheetImportMixin,
    PeerRegistrationMixin,
    PeerReconfigurationMixin,
    PeerSheetMixin,
    PeerConnectionCheckMixin,
    PeerLogoMixin,
    PeerSecretMixin,
    NoSecretLookupsMixin,
    admin.ModelAdmin,
):
    """The admin of peers. Most of the mixins add a page or a button: see their modules."""

    form = PeerForm
    list_display = ("name", "slug", "enabled", "delivery", "dialect", "issuer", "link_count")
    list_filter = ("enabled", "dialect")
    search_fields = ("name", "slug", "issuer", "token_endpoint")
    prepopulated_fields: ClassVar[dict[str, Sequence[str]]] = {"slug": ("name",)}
    actions = ("enable", "disable", "resume", "delete_selected")

    class Media:
        """Adds the style sheet and the scripts to the admin pages of peers. All pages work without
        the scripts."""

        css: ClassVar = {"all": ["reciprocal_oauth/admin.css"]}
        js: ClassVar = ["reciprocal_oauth/peer_form.js", "reciprocal_oauth/copy.js"]

    # The next methods decide what the admin pages of peers show.

    def get_queryset(self, request: HttpRequest) -> QuerySet[Peer]:
        """Return the peers. Each peer has the additional attribute ``active_links``: the number of
        its active links."""
        active = Count("links", filter=Q(links__status=Link.Status.ACTIVE))
        return super().get_queryset(request).annotate(active_links=active)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fieldsets of the form. The form for a new peer also has instructions and a
        field for the address where the metadata is looked up."""
        if obj is not None:
            return peer_fieldsets.STORED
        if preset := self.preset_for(request):
            return self.vendor_fieldsets(request, preset)
        if pairing := self.waiting_pairing(request):
            sets = peer_fieldsets.new_peer([], redirect_uris=[], is_found=False, doubtful=())
            return self.plain_client_fieldsets(pairing, request, sets)
        if is_first_step(request):
            return [self._instructions(request), *peer_fieldsets.FIRST_STEP]
        uris = ["redirect_uris"] if self.may_create_applications(request) else []
        return peer_fieldsets.new_peer(
            self.registration_fieldsets(request),
            redirect_uris=uris,
            is_found=bool(request.POST.get("peer_scopes")),
            doubtful=found_on(request).hints.keys() - {"scope", "allowed_scope"},
        )

    def _instructions(self, request: HttpRequest) -> Any:
        """Return a fieldset without fields. It says how a peer is added."""
        text = gettext(
            "The metadata of the other site, or a sheet that it has exported, fills in most of the "
            "form. You then enter the client ID and the client secret that the other site gives "
            "you: register this site there as a confidential client with the grant type "
            "authorization code. The form shows the redirect URI."
        )
        # Keep only what the form needs. A secret that somebody put into the URL is not repeated.
        kept = {n: request.GET[n] for n in request.GET if n == "dialect" or n.startswith("_")}
        query = urlencode({**kept, "by": BY_HAND})
        by_hand = format_html('<a href="?{}">{}</a>', query, gettext("Enter everything by hand"))
        return (None, {"fields": (), "description": format_html("{} {}", text, by_hand)})

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the form field for a foreign key.

        If the field is ``application`` and the user may not change applications, offer only
        applications that already have a peer. Otherwise the user could change an application
        by choosing it: its tokens would then be limited to the scopes that the peer may have.
        """
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "application" and field and not self.may_change_applications(request):
            field.queryset = field.queryset.filter(reciprocal_peer__isnull=False)
            field.help_text = _(
                "To choose another application, you need the permission to change applications."
            )
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields that cannot be edited: the short name (``slug``) once people have
        connected. Only a user who may change applications can change how the peer authenticates
        here."""
        names = ("slug",) if obj is not None and peer_validation.why_slug_is_fixed(obj) else ()
        if self.may_change_applications(request):
            return names
        return (*names, "authenticates_here_by", "jwks_uri")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any):  # type: ignore[no-untyped-def]
        """Return the form class. If the short name cannot be changed, the form says why."""
        if obj is not None and (reason := peer_validation.why_slug_is_fixed(obj)):
            kwargs["help_texts"] = {"slug": reason}
        form = super().get_form(request, obj, change=change, **kwargs)
        form.base = site_address.base_url(request)
        return form

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields that the page fills in from other fields while the user types. For a
        new peer, the short name is made from the name."""
        found: Any = super().get_prepopulated_fields(request, obj)
        return found if obj is None and not is_first_step(request) else {}

    @admin.display(description=_("active links"), ordering="active_links")
    def link_count(self, peer: Any) -> SafeString:
        """Return the number of the peer's active links. A click on it shows these links."""
        query = urlencode({"peer__id__exact": peer.pk, "status__exact": Link.Status.ACTIVE})
        url = reverse(f"{self.admin_site.name}:reciprocal_oauth_link_changelist")
        return format_html('<a href="{}?{}">{}</a>', url, query, peer.active_links)

    @admin.display(description=_("delivery"), ordering="paused_at")
    def delivery(self, peer: Any) -> str:
        """Return a text about the delivery to the peer: “paused” with the reason, “one way only” if
        the peer has refused reciprocal codes or sends none, and otherwise “running”."""
        if peer.paused_at is None:
            works_one_way = peer.reverse_refused_at is not None or not peer.sends_codes
            return str(_("one way only") if works_one_way else _("running"))
        return f"{_('paused')}: {peer.get_paused_reason_display()}"

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Render the page of a peer. Show a warning if the delivery to the peer is paused, or if
        the peer has refused a reciprocal code because it does not support the reverse direction."""
        peer = kwargs.get("obj")
        if request.method == "GET" and peer is not None and peer.paused_at is not None:
            self.message_user(request, _explain_pause(peer), messages.WARNING)
        if request.method == "GET" and peer is not None and peer.reverse_refused_at:
            text = _explain_one_way(peer, peer.reverse_refused_at)
            self.message_user(request, text, messages.WARNING)
        _focus_first_error(context["adminform"])
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    # The next methods delete, save, enable, disable and resume peers.

    # The next two methods refuse to delete a peer that has links. After a deletion, nothing would
    # limit or revoke the tokens of the peer's application any more, and the history of the links
    # would be lost. The methods also tell the user why they refuse. If has_delete_permission() made
    # this check, Django would only say that the permission is missing.

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Delete the peer. If it has links, do not delete it, and explain why."""
        peer = self.get_object(request, unquote(object_id))
        if peer and self.has_delete_permission(request, peer) and peer.links.exists():
            self._refuse_to_delete(request, [peer])
            return redirect(self._page("change"), peer.pk)
        return super().delete_view(request, object_id, extra_context)

    @admin.action(description=_("Delete selected peers"), permissions=["delete"])
    def delete_selected(
        self, request: HttpRequest, queryset: QuerySet[Peer]
    ) -> HttpResponse | None:
        """Delete the selected peers. If one of them has links, delete none, and explain why."""
        kept = list(queryset.filter(links__isnull=False).distinct())
        if kept:
            self._refuse_to_delete(request, kept)
            return None
        return delete_selected(self, request, queryset)

    def _refuse_to_delete(self, request: HttpRequest, peers: Sequence[Peer]) -> None:
        message = ngettext(
            "%s was not deleted, because it has active or ended links. Their history would be "
            "deleted too. Disable the peer instead.",
            "Nothing was deleted, because these peers have active or ended links: %s. The history "
            "of the links would be deleted too. Disable the peers instead.",
            len(peers),
        )
        self.message_user(request, message % ", ".join(map(str, peers)), messages.ERROR)

    def _page(self, name: str) -> str:
        return f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{name}"

    def save_model(self, request: HttpRequest, obj: Peer, form: Any, change: bool) -> None:
        """Save the peer. If the user has changed a field whose wrong value makes the peer refuse
        requests, such as the client secret, resume the delivery to the peer."""
        super().save_model(request, obj, form, change)
        if {*pausing.RELEVANT_FIELDS, "dialect"} & set(form.changed_data):
            # After this change, the peer may accept reciprocal codes. So record that it supports
            # the reverse direction. If the peer refuses the next reciprocal code, the delivery
            # records that the peer does not support this direction.
            obj.record_reverse_support(is_supported=True)
        if pausing.RELEVANT_FIELDS & set(form.changed_data):
            # _resume_after_change() locks links. Call it after the commit, to avoid a deadlock.
            # Until the commit, this transaction holds the lock on the row of the peer. Another
            # transaction may hold the lock on a link and wait for the row of the peer.
            on_commit(lambda: self._resume_after_change(request, obj))
        if change and "slug" in form.changed_data:
            self.message_user(request, _explain_new_slug(request, obj), messages.WARNING)
        if warning := save_warnings.scope_warning(obj):
            self.message_user(request, warning, messages.WARNING)
        if warning := save_warnings.grace_warning(obj):
            self.message_user(request, warning, messages.WARNING)
        if warning := save_warnings.keys_warning(obj):
            self.message_user(request, warning, messages.WARNING)
        if "client_secret" in form.changed_data and (warning := save_warnings.secret_warning(obj)):
            self.message_user(request, warning, messages.WARNING)

    @method_decorator(sensitive_variables())
    @method_decorator(sensitive_post_parameters("client_secret", "initial_access_token"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Render the form of a peer, or save the peer. The decorators keep the client secret out of
        error reports."""
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return response

    @admin.action(description=_("Enable selected peers"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Peer]) -> None:
        """Enable the selected peers, so that people can connect with them."""
        self._switch(request, queryset, True)

    @admin.action(description=_("Disable selected peers"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Peer]) -> HttpResponse | None:
        """Disable the selected peers, after the user has confirmed the action."""
        peers: Any = self.selected_rows(request, queryset.filter(enabled=True))
        if peers and not self.is_confirmed(request):
            links = sum(peer.active_links for peer in peers)
            meaning = Peer._meta.get_field("enabled").help_text
            title = gettext("Disable selected peers")
            return self.ask_for_confirmation(
                request, "disable", title, peers, links=links, meaning=meaning
            )
        if peers is not None:
            self._switch(request, queryset, False)
        return None

    @admin.action(description=_("Resume delivery to selected peers"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Peer]) -> None:
        """Resume the delivery to each selected peer whose delivery is paused."""
        for peer in queryset.filter(paused_at__isnull=False):
            self._resume(request, peer)
            self.log_change(request, peer, gettext("Delivery resumed."))

    def _resume_after_change(self, request: HttpRequest, peer: Peer) -> None:
        if peer.paused_at is None:
            outgoing_access.allow_refresh(peer)
        else:
            self._resume(request, peer)

    def _resume(self, request: HttpRequest, peer: Peer) -> None:
        count = resending.resume(peer)
        message = gettext("Delivery to %s is resumed.") % peer
        if count:
            message += " " + gettext("Sent again: %s.") % delivery_text.in_words(count)
        self.message_user(request, message)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Peer], on: bool) -> None:
        count = 0
        for peer in queryset.filter(enabled=not on):
            peer.enabled = on
            peer.save(update_fields=["enabled", "updated_at"])
            self.log_change(request, peer, [{"changed": {"fields": [str(_("enabled"))]}}])
            count += 1
        message = (
            ngettext("%d peer was enabled.", "%d peers were enabled.", count)
            if on
            else ngettext("%d peer was disabled.", "%d peers were disabled.", count)
        )
        self.message_user(request, message % count)


def _focus_first_error(admin_form: Any) -> None:
    """Let the browser focus the first field that has an error, also without a script."""
    fields = (field for fieldset in admin_form for line in fieldset for field in line)
    wrong = next((each for each in fields if not each.is_readonly and each.field.errors), None)
    if wrong is not None:
        wrong.field.field.widget.attrs["autofocus"] = True


def _explain_new_slug(request: HttpRequest, peer: Peer) -> SafeString:
    base = site_address.base_url(request)
    callback = site_address.url_of("reciprocal_oauth:callback", peer.slug, base=base)
    text = gettext(
        "The redirect URI of this site for this peer is now {}. The peer must register it, and "
        "refuses people who connect until then."
    )
    return format_html(text, format_html('<code dir="ltr">{}</code>', callback))


def _explain_one_way(peer: Peer, since: datetime) -> str:
    text = gettext(
        "%(peer)s does not support the reverse direction: on %(date)s, it refused a reciprocal "
        "code with unsupported_grant_type. Links with this peer work one way only, and people are "
        "not asked what the peer may do here. When the peer supports the reverse direction, test "
        "the connection."
    )
    return text % {"peer": peer, "date": in_words(since)}


def _explain_pause(peer: Peer) -> str:
    text = gettext(
        "Delivery to this peer is paused: %(reason)s. If the registration of this site or an "
        "endpoint is wrong here, correct it and save the peer. The delivery then resumes. If the "
        "problem was fixed at the peer, use the action “Resume delivery to selected peers” in the "
        "list of peers."
    )
    return text % {"reason": peer.get_paused_reason_display()}
