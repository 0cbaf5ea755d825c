"""Both queues, and the ledger of codes."""

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
from .confirmation import AskingMixin
from .read_only import USERNAME_FIELD, LookAtOnlyAdmin, OfLinkAdmin, stored_or_none, with_reason

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


class QueueItemAdmin(LookAtOnlyAdmin):
    """What outbox and inbox have in common."""

    shown_with = ("peer", "link__user")
    to_peer = "peer"
    # In the order in which they were made, along the key's own index.
    ordering = ("-pk",)

    class Media:
        css: ClassVar = {"all": ["reciprocal_oauth/admin.css"]}

    @admin.display(description=_("user"), ordering=f"link__user__{USERNAME_FIELD}")
    def user(self, item: Any) -> str:
        # A revocation outlives its link.
        return str(item.link.user) if item.link else "–"

    @admin.display(description=_("state"), ordering="state")
    def progress(self, item: Any) -> str:
        return with_reason(item.get_state_display(), item.reason and item.get_reason_display())


@admin.register(OutboxItem)
class OutboxItemAdmin(AskingMixin, QueueItemAdmin):
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
    # One transaction each, and one field of a form, of which Django reads 1000.
    most_at_once = 900
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
        return stored_or_none(item.token)

    def has_carry_on_permission(self, request: HttpRequest) -> bool:
        """Whether somebody may have rows sent anew, or stop them: who may change them elsewhere."""
        return request.user.has_perm("reciprocal_oauth.change_outboxitem")

    @admin.action(description=_("Send again what was given up"), permissions=["carry_on"])
    def resend(self, request: HttpRequest, queryset: QuerySet[OutboxItem]) -> HttpResponse | None:
        title = gettext("Send again what was given up")
        if (chosen := self.chosen(request, queryset)) is None:
            return None
        if question := self._ask(request, "resend", title, chosen, resending.RESENDABLE_STATES):
            return question
        done = self._for_each(request, chosen, resending.resend, _("Sent again."))
        resending.wake_workers()
        paused = resending.paused_peers_of(done)
        if count := Counter(item.kind for item in done if item.peer_id not in paused):
            self.message_user(request, gettext("Sent again: %s.") % delivery_text.in_words(count))
        for peer in paused.values():
            count = Counter(item.kind for item in done if item.peer_id == peer.pk)
            text = gettext("Sent once the peer is resumed: %s.") % delivery_text.in_words(count)
            text += " " + delivery_text.why_it_waits(peer)
            self.message_user(request, text, messages.WARNING)
        return None

    @admin.action(description=_("Stop what is under way"), permissions=["carry_on"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[OutboxItem]) -> HttpResponse | None:
        title = gettext("Stop what is under way")
        if (chosen := self.chosen(request, queryset)) is None:
            return None
        if question := self._ask(request, "cancel", title, chosen, OutboxItem.LIVE_STATES):
            return question
        done = self._for_each(request, chosen, resending.cancel, _("Stopped."))
        if count := Counter(item.kind for item in done):
            self.message_user(request, gettext("Stopped: %s.") % delivery_text.in_words(count))
        return None

    def _ask(
        self,
        request: HttpRequest,
        action: str,
        title: str,
        chosen: Sequence[OutboxItem],
        states: Collection[str],
    ) -> HttpResponse | None:
        """The question, unless it was answered; about those of ``chosen`` in one of ``states``. Of
        the others, it is said without a question why it cannot be done."""
        rows = [item for item in chosen if item.state in states]
        if not rows or self.is_sure(request):
            return None
        count = Counter(item.kind for item in rows)
        return self.ask(
            request,
            action,
            title,
            rows,
            what=delivery_text.in_words(count),
            handovers=count[OutboxItem.Kind.HANDOVER],
            revocations=count[OutboxItem.Kind.REVOCATION],
            others=len(rows) < len(chosen),
        )

    def _for_each(
        self,
        request: HttpRequest,
        items: Iterable[OutboxItem],
        act: Callable[[OutboxItem], None],
        entry: Any,
    ) -> list[OutboxItem]:
        """Those that it could be done with; of the others, the reason is said."""
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
        return stored_or_none(item.code)


@admin.register(ReciprocalCode)
class ReciprocalCodeAdmin(OfLinkAdmin):
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
