"""Rows that only the protocol writes: nobody adds, changes or deletes them by hand.

There may be hundreds of thousands of them, so nothing here joins, sorts or searches all of them
where it can be done with those of one page or one person.
"""

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import Peer
from ..models.fields import EncryptedField
from ..secret import Secret

#: The name that a person signs in with, whatever the user model calls it.
USERNAME_FIELD: str = get_user_model().USERNAME_FIELD

#: So many keys are put into a query as they are.
_FEW = 500


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
    #: What each row of the list needs beside itself. Fetched for the rows of one page: a join would
    #: be made for all rows, before they are sorted.
    shown_with: Sequence[str] = ()
    # Not ``False``, with which Django joins all that is listed.
    list_select_related = ()
    #: The ways from a row to its link, its user and its peer.
    to_link, to_user, to_peer = "link", "link__user", "link__peer"
    #: Only for the search field to be there, see :meth:`get_search_results`.
    search_fields = ("pk",)
    search_help_text: ClassVar[Any] = _("Link ID, user name, peer")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related(*self.shown_with)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Those that match every word. Users and peers are looked for first, each in its own
        table, so that an index leads to their rows."""
        for word in search_term.split():
            queryset = queryset.filter(self.matching(word))
        return queryset, False

    def matching(self, word: str) -> Q:
        users = get_user_model()._default_manager.filter(**{f"{USERNAME_FIELD}__icontains": word})
        peers = Peer.objects.filter(Q(name__icontains=word) | Q(slug__icontains=word))
        found = Q(**{f"{self.to_user}__in": _keys_of(users)})
        found |= Q(**{f"{self.to_peer}__in": _keys_of(peers)})
        try:
            return found | Q(**{self.to_link: uuid.UUID(word)})
        except ValueError:
            return found

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

    shown_with = ("link__peer", "link__user")

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


def _keys_of(rows: QuerySet[Any]) -> Any:
    """As values where there are few, which a database plans better; else as a query."""
    keys = rows.order_by().values_list("pk", flat=True)
    few = list(keys[: _FEW + 1])
    return few if len(few) <= _FEW else keys


def stored_or_none(value: Secret | None) -> str:
    """What is shown in place of a secret."""
    return str(_("stored")) if value else str(_("none"))


def with_reason(state: str, reason: str) -> str:
    """A state, and why it is that."""
    if not reason:
        return state
    return gettext("%(state)s: %(reason)s") % {"state": state, "reason": reason}
