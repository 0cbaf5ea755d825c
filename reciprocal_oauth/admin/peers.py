"""Peers: where the other site is, and what each side knows of the other."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import unquote
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from ..core import site_address
from ..core.database import on_commit
from ..delivery import pausing
from ..links import outgoing_access
from ..models import Link, Peer
from ..party_a import resending
from ..peers import save_warnings
from ..presentation import delivery_text
from .confirmation import AskingMixin
from .overview_page import OverviewMixin
from .peer_connection_check import PeerTestMixin
from .peer_discovery import PeerLookUpMixin
from .peer_form import PeerForm
from .peer_reconfiguration import PeerMovesMixin
from .peer_sheet import PeerSheetMixin
from .read_only import NoSecretLookupsMixin


@admin.register(Peer)
class PeerAdmin(
    AskingMixin,
    OverviewMixin,
    PeerLookUpMixin,
    PeerMovesMixin,
    PeerSheetMixin,
    PeerTestMixin,
    NoSecretLookupsMixin,
    admin.ModelAdmin,
):
    form = PeerForm
    list_display = ("name", "slug", "enabled", "delivery", "dialect", "issuer", "link_count")
    list_filter = ("enabled", "dialect")
    search_fields = ("name", "slug", "issuer", "token_endpoint")
    prepopulated_fields: ClassVar[dict[str, Sequence[str]]] = {"slug": ("name",)}
    actions = ("enable", "disable", "resume", "delete_selected")

    fields_to_fill = (
        (None, {"fields": ("name", "slug", "homepage", "enabled", "dialect")}),
        (
            _("Where it is"),
            {
                "fields": (
                    "issuer",
                    "sends_iss",
                    "authorization_endpoint",
                    "authorization_parameters",
                    "token_endpoint",
                    "revocation_endpoint",
                    "userinfo_endpoint",
                    "reciprocal_endpoint",
                )
            },
        ),
        (
            _("Our registration there"),
            {
                "fields": (
                    "client_id",
                    "client_secret",
                    "token_endpoint_auth_method",
                    "revoke_replaced",
                )
            },
        ),
        (_("Its registration here"), {"fields": ("application",)}),
        (
            _("Scopes"),
            {"fields": ("scope", "reciprocal_scope", "allowed_scope", "preconfigured_scope")},
        ),
    )

    class Media:
        css: ClassVar = {"all": ["reciprocal_oauth/admin.css"]}

    # What the pages show

    def get_queryset(self, request: HttpRequest) -> QuerySet[Peer]:
        active = Count("links", filter=Q(links__status=Link.Status.ACTIVE))
        return super().get_queryset(request).annotate(active_links=active)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return self.fields_to_fill
        looked_up = (_("What it says of itself"), {"fields": ("address",)})
        return [self._told_first(request), looked_up, *self.fields_to_fill]

    def _told_first(self, request: HttpRequest) -> Any:
        """What a person has to do at the other site before there is anything to fill in."""
        base = site_address.base_url(request)
        callback = site_address.url_of("reciprocal_oauth:callback", "SHORT-NAME", base=base)
        text = format_html(
            gettext(
                "Register this site at the other one first: a confidential client, authorization "
                "code, with the redirect URI {}, where SHORT-NAME is the short name chosen below. "
                "Then add an application for the other site here: confidential, authorization "
                "code, with the redirect URI that the other site tells you."
            ),
            format_html("<code>{}</code>", callback),
        )
        return (_("Before you begin"), {"fields": (), "description": text})

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Who makes a client a peer's decides over it: the peer's scopes limit its tokens."""
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "application" and field and not self.may_change_applications(request):
            field.queryset = field.queryset.filter(reciprocal_peer__isnull=False)
            field.help_text = _("To choose another one, you need the permission to change it.")
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # The short name stands in the redirect URI that is registered at the peer.
        return () if obj is None else ("slug",)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return super().get_prepopulated_fields(request, obj) if obj is None else {}

    @admin.display(description=_("active links"), ordering="active_links")
    def link_count(self, peer: Any) -> SafeString:
        query = urlencode({"peer__id__exact": peer.pk, "status__exact": Link.Status.ACTIVE})
        url = reverse(f"{self.admin_site.name}:reciprocal_oauth_link_changelist")
        return format_html('<a href="{}?{}">{}</a>', url, query, peer.active_links)

    @admin.display(description=_("delivery"), ordering="paused_at")
    def delivery(self, peer: Any) -> str:
        if peer.paused_at is None:
            return str(_("running") if peer.supports_reverse else _("one way only"))
        return f"{_('paused')}: {peer.get_paused_reason_display()}"

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        peer = kwargs.get("obj")
        if request.method == "GET" and peer is not None and peer.paused_at is not None:
            self.message_user(request, _explain_pause(peer), messages.WARNING)
        if request.method == "GET" and peer is not None and not peer.supports_reverse:
            self.message_user(request, _explain_one_way(peer), messages.WARNING)
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    # What can be done

    # A peer that has links is not deleted: with it would go what limits and ends the tokens of its
    # application here, and the history of its links. Without the permission, Django would say
    # only that: so the permission is given, and the reason where it is used.

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        peer = self.get_object(request, unquote(object_id))
        if peer and self.has_delete_permission(request, peer) and peer.links.exists():
            self._refuse_to_delete(request, [peer])
            return redirect(self._page("change"), peer.pk)
        return super().delete_view(request, object_id, extra_context)

    @admin.action(description=_("Delete selected peers"), permissions=["delete"])
    def delete_selected(
        self, request: HttpRequest, queryset: QuerySet[Peer]
    ) -> HttpResponse | None:
        kept = list(queryset.filter(links__isnull=False).distinct())
        if kept:
            self._refuse_to_delete(request, kept)
            return None
        return delete_selected(self, request, queryset)

    def _refuse_to_delete(self, request: HttpRequest, peers: Sequence[Peer]) -> None:
        message = ngettext(
            "%s was not deleted: it has links, or had some, and their history goes with it. "
            "Disable it instead.",
            "Nothing was deleted. These have links, or had some, and their history go with them: "
            "%s. Disable them instead.",
            len(peers),
        )
        self.message_user(request, message % ", ".join(map(str, peers)), messages.ERROR)

    def _page(self, name: str) -> str:
        return f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{name}"

    def save_model(self, request: HttpRequest, obj: Peer, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if {*pausing.RELEVANT_FIELDS, "dialect"} & set(form.changed_data):
            obj.record_reverse_support(is_supported=True)  # Until it says that it is not.
        if pausing.RELEVANT_FIELDS & set(form.changed_data):
            # After the commit: the peer's row is locked until then, and those that hand over for it
            # hold a link that is wanted here.
            on_commit(lambda: self._corrected(request, obj))
        if warning := save_warnings.scope_warning(obj):
            self.message_user(request, warning, messages.WARNING)
        if "client_secret" in form.changed_data and (warning := save_warnings.secret_warning(obj)):
            self.message_user(request, warning, messages.WARNING)

    @method_decorator(sensitive_variables())
    @method_decorator(sensitive_post_parameters("client_secret"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return response

    @admin.action(description=_("Enable selected peers"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Peer]) -> None:
        self._switch(request, queryset, True)

    @admin.action(description=_("Disable selected peers"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Peer]) -> HttpResponse | None:
        peers: Any = self.chosen(request, queryset.filter(enabled=True))
        if peers and not self.is_sure(request):
            links = sum(peer.active_links for peer in peers)
            meaning = Peer._meta.get_field("enabled").help_text
            title = gettext("Disable selected peers")
            return self.ask(request, "disable", title, peers, links=links, meaning=meaning)
        if peers is not None:
            self._switch(request, queryset, False)
        return None

    @admin.action(description=_("Resume delivery to selected peers"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Peer]) -> None:
        for peer in queryset.filter(paused_at__isnull=False):
            self._resume(request, peer)
            self.log_change(request, peer, gettext("Delivery resumed."))

    def _corrected(self, request: HttpRequest, peer: Peer) -> None:
        if peer.paused_at is None:
            outgoing_access.allow_refresh(peer)
        else:
            self._resume(request, peer)

    def _resume(self, request: HttpRequest, peer: Peer) -> None:
        count = resending.resume(peer)
        message = gettext("Delivery to %s goes on.") % peer
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


def _explain_one_way(peer: Peer) -> str:
    text = gettext(
        "%(peer)s does not support the reverse direction: it answered unsupported_grant_type to a "
        "reciprocal code on %(date)s. Links with it work one way, and nobody is asked what it may "
        "do here. Once it does, test the connection."
    )
    since = peer.reverse_refused_at
    return text % {"peer": peer, "date": date_format(since, "DATE_FORMAT") if since else ""}


def _explain_pause(peer: Peer) -> str:
    text = gettext(
        "Nothing is delivered to this peer: %(reason)s. Correct our registration there or its "
        "endpoints and save, which resumes delivery; or, if it was mended there, resume it with "
        "the action in the list of peers."
    )
    return text % {"reason": peer.get_paused_reason_display()}
