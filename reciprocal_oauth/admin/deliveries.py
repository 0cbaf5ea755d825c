"""The admin of the outbox (what this site must send to peers), of the inbox (the reciprocal codes
that peers have sent to this site), and of the reciprocal codes that this site has issued."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import InboxItem, OutboxItem, ReciprocalCode
from ..party_a import resending
from ..presentation import delivery_text
from .confirmation import ConfirmationMixin
from .read_only import USERNAME_FIELD, LinkRelatedAdmin, ReadOnlyAdmin, stored_or_none, with_reason

_PROGRESS = (
    "progress",
    "attempts",
    "next_attempt_at",
    "last_error",
    "lease_until",
    "created_at",
    "updated_at",
    "finished_at",
)


class QueueItemAdmin(ReadOnlyAdmin):
    """Base of the admin classes for the two queues: the outbox (what this site must send to peers)
    and the inbox (the reciprocal codes that this site must redeem at peers)."""

    shown_with = ("peer", "link__user")
    to_peer = "peer"
    # Show the newest rows first. The primary key grows with each new row, and it has an index.
    ordering = ("-pk",)

    class Media:
        """Adds the style sheet to the admin pages of the outbox and the inbox."""

        css: ClassVar = {"all": ["reciprocal_oauth/admin.css"]}

    @admin.display(description=_("user"), ordering=f"link__user__{USERNAME_FIELD}")
    def user(self, item: Any) -> str:
        """Return the name of the user of the link, or a dash if the link was deleted."""
        # When a link is deleted, the revocations of its tokens stay in the outbox without a link.
        return str(item.link.user) if item.link else "–"

    @admin.display(description=_("state"), ordering="state")
    def progress(self, item: Any) -> str:
        """Return the state of the delivery, with the reason for this state if there is one."""
        return with_reason(item.get_state_display(), item.reason and item.get_reason_display())


@admin.register(OutboxItem)
class OutboxItemAdmin(ConfirmationMixin, QueueItemAdmin):
    """The outbox: the deliveries from this site to peers. A delivery is a hand-over (it sends a
    reciprocal code to the peer) or a revocation (it revokes a token at the peer)."""

    list_display = (
        "id",
        "kind",
        "peer",
        "user",
        "progress",
        "attempts",
        "created_at",
        "next_attempt_at",
        "last_error",
    )
    list_filter = ("state", "reason", "kind", "peer")
    actions = ("resend", "cancel")
    # The confirmation form has one hidden field for each selected row. By default, Django accepts
    # at most 1000 fields in a form (DATA_UPLOAD_MAX_NUMBER_FIELDS). With 900 rows, the form stays
    # below this limit, although it also has a few other fields.
    max_rows = 900
    fields = (
        "kind",
        "peer",
        "link",
        "generation",
        "has_token",
        "resends",
        "accepted_at",
        *_PROGRESS,
    )
    readonly_fields = ("progress", "has_token", "lease_until")

    @admin.display(description=_("token to revoke"))
    def has_token(self, item: OutboxItem) -> str:
        """Return “stored” if the row contains a token to revoke, and “none” otherwise."""
        return stored_or_none(item.token)

    def has_delivery_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may send deliveries again or cancel them. This needs the
        permission to change rows of the outbox."""
        return request.user.has_perm("reciprocal_oauth.change_outboxitem")

    @admin.action(description=_("Send again"), permissions=["delivery"])
    def resend(self, request: HttpRequest, queryset: QuerySet[OutboxItem]) -> HttpResponse | None:
        """Send the selected deliveries again. Before that, show a confirmation page.

        Only deliveries that have failed or were cancelled can be sent again. If other deliveries
        are selected too, show the reasons why they are not sent.
        """
        title = gettext("Send again")
        if (selected := self.selected_rows(request, queryset)) is None:
            return None
        if question := self._ask(request, "resend", title, selected, resending.RESENDABLE_STATES):
            return question
        done = self._for_each(request, selected, resending.resend, _("Sent again."))
        resending.wake_workers()
        paused = resending.paused_peers_of(done)
        if count := Counter(item.kind for item in done if item.peer_id not in paused):
            self.message_user(request, gettext("Sent again: %s.") % delivery_text.in_words(count))
        for peer in paused.values():
            count = Counter(item.kind for item in done if item.peer_id == peer.pk)
            text = gettext("To be sent when delivery to the peer is resumed: %s.")
            text %= delivery_text.in_words(count)
            text += " " + delivery_text.why_it_waits(peer)
            self.message_user(request, text, messages.WARNING)
        return None

    @admin.action(description=_("Cancel delivery"), permissions=["delivery"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[OutboxItem]) -> HttpResponse | None:
        """Cancel the selected deliveries. Before that, show a confirmation page.

        Only deliveries that are not finished can be cancelled. If finished deliveries are selected
        too, show the reasons why they are not cancelled.
        """
        title = gettext("Cancel delivery")
        if (selected := self.selected_rows(request, queryset)) is None:
            return None
        if question := self._ask(request, "cancel", title, selected, OutboxItem.LIVE_STATES):
            return question
        done = self._for_each(request, selected, resending.cancel, _("Cancelled."))
        if count := Counter(item.kind for item in done):
            self.message_user(request, gettext("Cancelled: %s.") % delivery_text.in_words(count))
        return None

    def _ask(
        self,
        request: HttpRequest,
        action: str,
        title: str,
        selected: Sequence[OutboxItem],
        states: Collection[str],
    ) -> HttpResponse | None:
        """Return the confirmation page of ``action``. The page lists the selected rows whose state
        is in ``states``. Return ``None`` if no selected row has such a state, or if the user has
        already confirmed the action."""
        rows = [item for item in selected if item.state in states]
        if not rows or self.is_confirmed(request):
            return None
        count = Counter(item.kind for item in rows)
        return self.ask_for_confirmation(
            request,
            action,
            title,
            rows,
            what=delivery_text.in_words(count),
            handovers=count[OutboxItem.Kind.HANDOVER],
            revocations=count[OutboxItem.Kind.REVOCATION],
            others=len(rows) < len(selected),
        )

    def _for_each(
        self,
        request: HttpRequest,
        items: Iterable[OutboxItem],
        act: Callable[[OutboxItem], None],
        entry: Any,
    ) -> list[OutboxItem]:
        """Call ``act`` with each item, and return the items for which it succeeded. If ``act``
        raises ``NotPossible`` for an item, show the reason to the user.

        :param entry: the text that is added to the admin's history of an item if ``act`` succeeded.
        """
        done = []
        for item in items:
            try:
                act(item)
            except resending.NotPossible as refused:
                self.message_user(request, f"{item}: {refused}", messages.WARNING)
            else:
                self.log_change(request, item, str(entry))
                done.append(item)
        return done


@admin.register(InboxItem)
class InboxItemAdmin(QueueItemAdmin):
    """The inbox: the reciprocal codes that peers have sent to this site. This site redeems them at
    the token endpoints of the peers."""

    list_display = (
        "id",
        "peer",
        "user",
        "progress",
        "attempts",
        "created_at",
        "next_attempt_at",
        "last_error",
    )
    list_filter = ("state", "reason", "peer")
    fields = ("peer", "link", "has_code", *_PROGRESS)
    readonly_fields = ("progress", "has_code", "lease_until")

    @admin.display(description=_("code"))
    def has_code(self, item: InboxItem) -> str:
        """Return “stored” if the row contains a reciprocal code, and “none” otherwise."""
        return stored_or_none(item.code)


@admin.register(ReciprocalCode)
class ReciprocalCodeAdmin(LinkRelatedAdmin):
    """The reciprocal codes that this site has issued to peers. A peer redeems such a code at this
    site, and receives tokens for it."""

    list_display = (
        "created_at",
        "peer",
        "user",
        "generation",
        "state",
        "redeemed_at",
        "replays",
    )
    list_filter = ("state", "link__peer")
    ordering = ("-created_at",)
    fields = (
        "id",
        "link",
        "generation",
        "state",
        "created_at",
        "expires_at",
        "redeemed_at",
        "replays",
    )
