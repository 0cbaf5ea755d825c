"""Both queues, and the ledger of codes."""

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import InboxItem, OutboxItem, ReciprocalCode
from .look_at_only import USERNAME_FIELD, LookAtOnlyAdmin, OfLinkAdmin, stored_or_none

_PROGRESS = (
    "state",
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
    list_filter = ("state", "kind", "peer")
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
