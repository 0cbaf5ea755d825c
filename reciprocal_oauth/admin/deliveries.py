"""Both queues, and the ledger of codes."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..models import InboxItem, OutboxItem, ReciprocalCode
from ..party_a import resending
from .look_at_only import USERNAME_FIELD, LookAtOnlyAdmin, OfLinkAdmin, stored_or_none

_PROGRESS = (
    "state",
    "attempts",
    "next_attempt_at",
    "last_error",
    "reason",
    "lease_until",
    "created_at",
    "updated_at",
    "finished_at",
)


class QueueItemAdmin(LookAtOnlyAdmin):
    """What outbox and inbox have in common."""

    list_select_related = ("peer", "link__user")
    search_fields = ("link__id", f"link__user__{USERNAME_FIELD}", "peer__name", "peer__slug")
    search_help_text = _("Link ID, user name, peer")

    @admin.display(description=_("user"), ordering=f"link__user__{USERNAME_FIELD}")
    def user(self, item: Any) -> str:
        # A revocation outlives its link.
        return str(item.link.user) if item.link else "–"


@admin.register(OutboxItem)
class OutboxItemAdmin(QueueItemAdmin):
    list_display = (
        "id",
        "kind",
        "peer",
        "user",
        "state",
        "attempts",
        "next_attempt_at",
        "last_error",
    )
    list_filter = ("state", "reason", "kind", "peer")
    actions = ("resend", "cancel")
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
    readonly_fields = ("has_token", "lease_until")

    @admin.display(description=_("token to revoke"))
    def has_token(self, item: OutboxItem) -> str:
        return stored_or_none(item.token)

    def has_carry_on_permission(self, request: HttpRequest) -> bool:
        """Whether somebody may have rows sent anew, or stop them: who may change them elsewhere."""
        return request.user.has_perm("reciprocal_oauth.change_outboxitem")

    @admin.action(description=_("Send again what was given up"), permissions=["carry_on"])
    def resend(self, request: HttpRequest, queryset: QuerySet[OutboxItem]) -> None:
        count = self._for_each(request, queryset, resending.resend, _("Sent again."))
        message = ngettext("%d hand-over is sent again.", "%d hand-overs are sent again.", count)
        if count:
            resending.start()
            self.message_user(request, message % count)

    @admin.action(description=_("Stop what is under way"), permissions=["carry_on"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[OutboxItem]) -> None:
        count = self._for_each(request, queryset, resending.cancel, _("Stopped."))
        message = ngettext("%d hand-over was stopped.", "%d hand-overs were stopped.", count)
        if count:
            self.message_user(request, message % count)

    def _for_each(
        self,
        request: HttpRequest,
        queryset: QuerySet[OutboxItem],
        act: Callable[[OutboxItem], None],
        entry: Any,
    ) -> int:
        count = 0
        for item in queryset:
            try:
                act(item)
            except resending.NotPossible as refused:
                self.message_user(request, f"{item}: {refused}", messages.WARNING)
            else:
                self.log_change(request, item, str(entry))
                count += 1
        return count


@admin.register(InboxItem)
class InboxItemAdmin(QueueItemAdmin):
    list_display = (
        "id",
        "peer",
        "user",
        "state",
        "attempts",
        "next_attempt_at",
        "last_error",
    )
    list_filter = ("state", "peer")
    fields = ("peer", "link", "has_code", *_PROGRESS)
    readonly_fields = ("has_code", "lease_until")

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
