"""The admin of links and their history."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..core.local_time import with_seconds
from ..links import incoming_access, lifecycle
from ..models import Link, LinkEvent, Reason
from ..presentation import flow_diagram
from ..presentation.account import account_of
from .confirmation import ConfirmationMixin
from .read_only import LinkRelatedAdmin, ReadOnlyAdmin, ReadOnlyInline, stored_or_none, with_reason


class EventMixin:
    """Shows the time and the detail of an event in the history of a link.

    The time includes the seconds, because the steps of the protocol are often only seconds apart.
    The date formats of Django show only hours and minutes.
    """

    @admin.display(description=_("time"), ordering="at")
    def time(self, event: LinkEvent) -> str:
        """Return the date and time of the event with seconds, in the current time zone."""
        return with_seconds(event.at)

    @admin.display(description=_("detail"))
    def details(self, event: LinkEvent) -> str:
        """Return the detail of the event. If the detail is a :class:`Reason`, return its label."""
        is_reason = event.detail and event.detail in Reason.values
        return str(Reason(event.detail).label) if is_reason else event.detail


class LinkEventInline(EventMixin, ReadOnlyInline):
    """The table with the history of a link, on the admin page of this link."""

    model = LinkEvent
    verbose_name_plural = _("history")
    fields = ("time", "party", "step", "outcome", "generation", "details")
    readonly_fields = fields
    ordering = ("at", "pk")


@admin.register(Link)
class LinkAdmin(ConfirmationMixin, ReadOnlyAdmin):
    """The admin of links. Administrators can view links and disconnect them, but not edit them."""

    list_display = (
        "user",
        "peer",
        "account",
        "outgoing",
        "incoming",
        "status",
        "created_at",
        "linked_at",
    )
    list_filter = ("status", "outgoing_state", "incoming_state", "peer")
    shown_with = ("peer", "user")
    to_link, to_user, to_peer = "pk", "user", "peer"
    search_help_text = _("Link ID, user name, peer, account at the peer")
    fieldsets = (
        (None, {"fields": ("id", "user", "peer", "account_name", "subject", "status")}),
        (
            _("Outgoing access"),
            {
                "fields": (
                    "outgoing",
                    "outgoing_scope",
                    "has_access_token",
                    "access_token_expires_at",
                    "has_refresh_token",
                )
            },
        ),
        (
            _("Incoming access"),
            {
                "fields": (
                    "incoming",
                    "in_force",
                    "offered_scope",
                    "incoming_scope",
                    "generation",
                    "confirmed_generation",
                )
            },
        ),
        (_("Steps"), {"fields": ("steps",)}),
        (
            _("Times"),
            {"fields": ("created_at", "updated_at", "linked_at", "last_used_at", "ended_at")},
        ),
    )
    readonly_fields = (
        "outgoing",
        "incoming",
        "in_force",
        "has_access_token",
        "has_refresh_token",
        "steps",
    )
    inlines = (LinkEventInline,)
    actions = ("disconnect",)
    change_form_template = "reciprocal_oauth/admin/link_change_form.html"

    class Media:
        """Adds two style sheets to the admin pages of links. The second one is for the diagram of
        the protocol steps."""

        css: ClassVar = {"all": ["reciprocal_oauth/admin.css", "reciprocal_oauth/diagram.css"]}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Render the page of a link. If the link is active and the user has the permission to end
        links, the page has the button “Disconnect”."""
        if (link := kwargs.get("obj")) is not None:
            context["may_disconnect"] = link.is_active and self.has_disconnect_permission(request)
            # Show the names of the user and the peer here. If Link.__str__() returned them, a list
            # of links would need two more queries for each link.
            context["subtitle"] = f"{link.user} – {link.peer}"
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    def matching(self, word: str) -> Q:
        """Return a filter for the links that match one word of a search. The filter of the base
        class compares the word with the link ID, the user and the peer. This filter also compares
        it with the ID and the name of the user's account at the peer."""
        return super().matching(word) | Q(subject=word) | Q(account_name__icontains=word)

    def has_disconnect_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may end links. This needs the permission to change links."""
        return request.user.has_perm("reciprocal_oauth.change_link")

    @admin.action(description=_("Disconnect"), permissions=["disconnect"])
    def disconnect(self, request: HttpRequest, queryset: QuerySet[Link]) -> HttpResponse | None:
        """End the selected links that are active. Before that, show a confirmation page."""
        links = self.selected_rows(request, queryset.filter(status=Link.Status.ACTIVE))
        if links is None:
            return None
        if not links:
            self.message_user(
                request, gettext("The selected links have already ended."), messages.WARNING
            )
        elif not self.is_confirmed(request):
            return self.ask_for_confirmation(request, "disconnect", gettext("Disconnect"), links)
        else:
            self._end(request, links)
        return None

    def _end(self, request: HttpRequest, links: list[Link]) -> None:
        count = 0
        for link in links:
            if lifecycle.end_link(link, Link.Reason.REVOKED_HERE, revoke_outgoing=True):
                self.log_change(request, link, gettext("Disconnected."))
                count += 1
        message = ngettext("%d link was ended.", "%d links were ended.", count)
        self.message_user(request, message % count)

    @admin.display(description=_("account at the peer"), ordering="account_name")
    def account(self, link: Link) -> str:
        """Return the name of the user's account at the peer. If the name is not known, return the
        ID of the account. If the ID is not known either, return a dash."""
        return account_of(link) or "–"

    @admin.display(description=_("outgoing access"), ordering="outgoing_state")
    def outgoing(self, link: Link) -> str:
        """Return the state of the outgoing access (the access of this site at the peer), with the
        reason for this state if there is one."""
        if link.outgoing_state == Link.Outgoing.WAITING and not link.peer.sends_codes:
            return gettext("none: this kind of peer gives no access")
        return with_reason(
            link.get_outgoing_state_display(),
            link.outgoing_reason and link.get_outgoing_reason_display(),
        )

    @admin.display(description=_("incoming access"), ordering="incoming_state")
    def incoming(self, link: Link) -> str:
        """Return the state of the incoming access (the access of the peer at this site), with the
        reason for this state if there is one."""
        state = link.get_incoming_state_display()
        if link.keeps_earlier_incoming:
            is_pending = link.incoming_state == Link.Incoming.GRANTED
            state = (
                gettext("working, a change is pending")
                if is_pending
                else gettext("working, the last change failed")
            )
        return with_reason(str(state), link.incoming_reason and link.get_incoming_reason_display())

    @admin.display(description=_("scope that the peer has now"))
    def in_force(self, link: Link) -> str:
        """Return the scope that the peer can use at this site now, or a dash if it has none."""
        return incoming_access.scope_in_force(link) or "–"

    @admin.display(description=_("newest flow"))
    def steps(self, link: Link) -> str:
        """Return a sequence diagram, as HTML, of the protocol steps in the newest flow (the last
        time that the person connected or changed the scope), or a dash if no step is recorded."""
        drawn = flow_diagram.of_link(link)
        return (
            render_to_string("reciprocal_oauth/_diagram.html", {"diagram": drawn}) if drawn else "–"
        )

    @admin.display(description=_("access token"))
    def has_access_token(self, link: Link) -> str:
        """Return “stored” if this site has an access token from the peer, and “none” otherwise."""
        return stored_or_none(link.access_token)

    @admin.display(description=_("refresh token"))
    def has_refresh_token(self, link: Link) -> str:
        """Return “stored” if this site has a refresh token from the peer, and “none” otherwise."""
        return stored_or_none(link.refresh_token)


@admin.register(LinkEvent)
class LinkEventAdmin(EventMixin, LinkRelatedAdmin):
    """The admin of events: the histories of all links in one list."""

    list_display = ("time", "peer", "user", "party", "step", "outcome", "details")
    list_filter = ("outcome", "step", "party", "link__peer")
    # Show the newest events first. There are many events, so sort them by the primary key: it grows
    # with each new event, and it has an index.
    ordering = ("-pk",)
    fields = ("time", "link", "party", "step", "outcome", "generation", "details")
    readonly_fields = ("time", "details")
