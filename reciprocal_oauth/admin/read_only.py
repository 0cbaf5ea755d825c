"""Base classes for rows that only the protocol writes: nobody adds, changes or deletes them.

There may be hundreds of thousands of rows. So where possible, these classes join, sort and search
only the rows of one page or of one person.
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

#: The field of the user model with the name that a person signs in with.
USERNAME_FIELD: str = get_user_model().USERNAME_FIELD

#: Up to this number, keys are put into a query as values.
_MAX_KEYS = 500


class NoSecretLookupsMixin:
    """Refuses look-ups by secret fields. Django allows look-ups by every field in the URL of a
    list, which would reveal a hash or a ciphertext letter by letter."""

    model: type[models.Model]

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Whether the URL of the list may contain ``lookup``."""
        name = lookup.partition("__")[0]
        hidden = {
            field.name for field in self.model._meta.fields if isinstance(field, EncryptedField)
        } | {"code_hash", "live_key"}
        return name not in hidden and super().lookup_allowed(lookup, value, request)  # type: ignore[misc]


class ReadOnlyAdmin(NoSecretLookupsMixin, admin.ModelAdmin):
    """Base of the admin classes for such rows. Subclasses list the fields to show."""

    # A search would also count all rows, which takes as long as the search itself.
    show_full_result_count = False
    #: The related rows that the list needs. They are prefetched for one page: a join would be made
    #: for all rows before they are sorted.
    shown_with: Sequence[str] = ()
    # Not ``False``: then Django joins all relations in ``list_display``.
    list_select_related = ()
    #: The look-ups from a row to its link, its user and its peer.
    to_link, to_user, to_peer = "link", "link__user", "link__peer"
    #: Django shows the search field only if this is set; see :meth:`get_search_results`.
    search_fields = ("pk",)
    search_help_text: ClassVar[Any] = _("Link ID, user name, peer")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows, with the related rows that the list needs."""
        return super().get_queryset(request).prefetch_related(*self.shown_with)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The rows that match every word. Users and peers are searched first, each in its own
        table, so that the database finds their rows by an index."""
        for word in search_term.split():
            queryset = queryset.filter(self.matching(word))
        return queryset, False

    def matching(self, word: str) -> Q:
        """The rows that match one word: the ID of a link, or a part of a user or peer name."""
        users = get_user_model()._default_manager.filter(**{f"{USERNAME_FIELD}__icontains": word})
        peers = Peer.objects.filter(Q(name__icontains=word) | Q(slug__icontains=word))
        found = Q(**{f"{self.to_user}__in": _keys_of(users)})
        found |= Q(**{f"{self.to_peer}__in": _keys_of(peers)})
        try:
            return found | Q(**{self.to_link: uuid.UUID(word)})
        except ValueError:
            return found

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody may add rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may change rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may delete rows, except together with a user."""
        # Django also calls this for the rows that are deleted together with a user, and it must be
        # possible to delete a user. On the pages of these rows, nothing can be deleted.
        match = request.resolver_match
        own = f"{self.opts.app_label}_{self.opts.model_name}_"
        if match is None or (match.url_name or "").startswith(own):
            return False
        return super().has_delete_permission(request, obj)


class LinkRelatedAdmin(ReadOnlyAdmin):
    """Base of the admin classes for rows that belong to a link. Their lists show its peer and its
    user."""

    shown_with = ("link__peer", "link__user")

    @admin.display(description=_("peer"), ordering="link__peer__name")
    def peer(self, row: Any) -> str:
        """The peer of the link."""
        return str(row.link.peer)

    @admin.display(description=_("user"), ordering=f"link__user__{USERNAME_FIELD}")
    def user(self, row: Any) -> str:
        """The user of the link."""
        return str(row.link.user)


class ReadOnlyInline(admin.TabularInline):
    """Base of the read-only tables on the page of another object, such as the history of a link."""

    extra = 0
    can_delete = False
    classes = ("ro-read-only",)
    show_change_link = False

    class Media:
        """The style sheet of the inline."""

        css: ClassVar = {"all": ["reciprocal_oauth/admin.css"]}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may add rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may change rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may delete rows."""
        return False


def _keys_of(rows: QuerySet[Any]) -> Any:
    """The primary keys: values if there are few, which databases handle better, else a query."""
    keys = rows.order_by().values_list("pk", flat=True)
    few = list(keys[: _MAX_KEYS + 1])
    return few if len(few) <= _MAX_KEYS else keys


def stored_or_none(value: Secret | None) -> str:
    """“stored” or “none”, to show instead of a secret."""
    return str(_("stored")) if value else str(_("none"))


def with_reason(state: str, reason: str) -> str:
    """The state, with the reason if there is one."""
    if not reason:
        return state
    return gettext("%(state)s: %(reason)s") % {"state": state, "reason": reason}
