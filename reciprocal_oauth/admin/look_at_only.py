"""Rows that only the protocol writes: nobody adds, changes or deletes them by hand."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models.fields import EncryptedField
from ..secret import Secret

#: The name that a person signs in with, whatever the user model calls it.
USERNAME_FIELD: str = get_user_model().USERNAME_FIELD


class NoSecretLookupsMixin:
    """Django lets every field of a model be looked up by the address of its list, which would tell
    the beginning of a hash or a ciphertext, letter by letter."""

    model: type[models.Model]

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        name = lookup.partition("__")[0]
        hidden = {
            field.name for field in self.model._meta.fields if isinstance(field, EncryptedField)
        } | {"code_hash", "live_key"}
        return name not in hidden and super().lookup_allowed(lookup, value, request)  # type: ignore[misc]


class LookAtOnlyAdmin(NoSecretLookupsMixin, admin.ModelAdmin):
    """Base of the admin classes for such rows. Sub-classes name the fields that are shown."""

    # Counting all rows, only to say beside a search how many there are, takes as long again.
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Django also asks this for each row that goes with a user who is deleted, and a user must
        # stay deletable. On the pages of these rows themselves nothing can be deleted.
        match = request.resolver_match
        own = f"{self.opts.app_label}_{self.opts.model_name}_"
        if match is None or (match.url_name or "").startswith(own):
            return False
        return super().has_delete_permission(request, obj)


class OfLinkAdmin(LookAtOnlyAdmin):
    """Base for rows that belong to a link: its peer and its user stand in their list."""

    list_select_related = ("link__peer", "link__user")
    search_fields = (
        "link__id",
        f"link__user__{USERNAME_FIELD}",
        "link__peer__name",
        "link__peer__slug",
    )
    search_help_text = _("Link ID, user name, peer")

    @admin.display(description=_("peer"), ordering="link__peer__name")
    def peer(self, row: Any) -> str:
        return str(row.link.peer)

    @admin.display(description=_("user"), ordering=f"link__user__{USERNAME_FIELD}")
    def user(self, row: Any) -> str:
        return str(row.link.user)


class LookAtOnlyInline(admin.TabularInline):
    """Such rows on the page of the row that they belong to."""

    extra = 0
    can_delete = False
    classes = ("ro-look-at-only",)
    show_change_link = False

    class Media:
        css: ClassVar = {"all": ["reciprocal_oauth/admin.css"]}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def stored_or_none(value: Secret | None) -> str:
    """What is shown in place of a secret."""
    return str(_("stored")) if value else str(_("none"))


def with_reason(state: str, reason: str) -> str:
    """A state, and why it is that."""
    if not reason:
        return state
    return gettext("%(state)s: %(reason)s") % {"state": state, "reason": reason}
