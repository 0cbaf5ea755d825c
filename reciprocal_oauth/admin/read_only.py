"""Base classes for the admin of models whose rows are written only by the code that runs the
protocol. In the admin, nobody can add, edit or delete these rows.

A table can have hundreds of thousands of rows. For this reason, the classes avoid queries that must
read the whole table: joins, sorting and searches without an index.
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

#: The field of the user model that contains the name with which a person signs in.
USERNAME_FIELD: str = get_user_model().USERNAME_FIELD

#: A search looks up the matching users and peers first, and then finds their rows. If at most this
#: number of users (or peers) match, the query for the rows contains a list of the primary keys of
#: these users (or peers). If more match, the query contains a subquery instead of the list.
_MAX_KEYS = 500


class NoSecretLookupsMixin:
    """Refuses to filter a list by a secret field.

    By default, the URL of a list in Django's admin can contain a filter for any field of the model.
    With such filters, a user could find out a stored hash or ciphertext letter by letter.
    """

    model: type[models.Model]

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Return whether the URL of the list may contain the filter ``lookup``."""
        name = lookup.partition("__")[0]
        hidden = {
            field.name
            for field in self.model._meta.fields
            if isinstance(field, EncryptedField) or field.name.endswith(("_hash", "_digest"))
        } | {"live_key"}
        return name not in hidden and super().lookup_allowed(lookup, value, request)  # type: ignore[misc]


class ReadOnlyAdmin(NoSecretLookupsMixin, admin.ModelAdmin):
    """Base of the admin classes for models whose rows nobody can add, edit or delete in the admin.
    Subclasses say which fields are shown."""

    # After a search, do not show how many rows the whole table has, because it takes long to count
    # all rows of a large table.
    show_full_result_count = False
    #: The names of the relations that the list shows, such as the link of a row. The related rows
    #: are prefetched, and only for the rows of one page. With a join instead, the database would
    #: join all rows of the table before it sorts them and takes the rows of the page.
    shown_with: Sequence[str] = ()
    # An empty tuple means that Django makes no joins. With ``False``, Django would make joins if
    # ``list_display`` contains a relation.
    list_select_related = ()
    #: The lookups (as in ``QuerySet.filter``) from a row to its link, to the user and to the peer.
    to_link, to_user, to_peer = "link", "link__user", "link__peer"
    #: Django shows the search box only if this is not empty. The value has no other effect, because
    #: :meth:`get_search_results` makes the search.
    search_fields = ("pk",)
    search_help_text: ClassVar[Any] = _("Link ID, user name, peer")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows, and prefetch the related rows that the list shows."""
        return super().get_queryset(request).prefetch_related(*self.shown_with)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return two values: the rows that match every word of ``search_term``, and ``False``. The
        second value tells Django that the rows contain no duplicates.

        For each word, the matching users and peers are looked up first, in their own tables. With
        the keys of these users and peers, the database can find the rows by an index.
        """
        for word in search_term.split():
            queryset = queryset.filter(self.matching(word))
        return queryset, False

    def matching(self, word: str) -> Q:
        """Return a filter for the rows that match ``word``. The word can be the ID of a link, or
        a part of the name of a user, or a part of the name or the slug of a peer."""
        users = get_user_model()._default_manager.filter(**{f"{USERNAME_FIELD}__icontains": word})
        peers = Peer.objects.filter(Q(name__icontains=word) | Q(slug__icontains=word))
        found = Q(**{f"{self.to_user}__in": _keys_of(users)})
        found |= Q(**{f"{self.to_peer}__in": _keys_of(peers)})
        try:
            return found | Q(**{self.to_link: uuid.UUID(word)})
        except ValueError:
            return found

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return ``False``, because nobody may add rows in the admin."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return ``False``, because nobody may edit rows in the admin."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return ``False`` on the admin pages of these rows. On other pages, such as the page that
        deletes a user, return whether the user has the permission to delete these rows."""
        # When an administrator deletes a user, Django also deletes the rows that belong to this
        # user, and it calls this method for them. If the result were always False, nobody could
        # delete a user who has such rows.
        match = request.resolver_match
        own = f"{self.opts.app_label}_{self.opts.model_name}_"
        if match is None or (match.url_name or "").startswith(own):
            return False
        return super().has_delete_permission(request, obj)


class LinkRelatedAdmin(ReadOnlyAdmin):
    """Base of the admin classes for rows that belong to a link. The list of these rows shows the
    peer and the user of each link."""

    shown_with = ("link__peer", "link__user")

    @admin.display(description=_("peer"), ordering="link__peer__name")
    def peer(self, row: Any) -> str:
        """Return the name of the peer of the link."""
        return str(row.link.peer)

    @admin.display(description=_("user"), ordering=f"link__user__{USERNAME_FIELD}")
    def user(self, row: Any) -> str:
        """Return the name of the user of the link."""
        return str(row.link.user)


class ReadOnlyInline(admin.TabularInline):
    """Base of tables without input fields on the page of another object. An example is the history
    on the page of a link."""

    template = "reciprocal_oauth/admin/read_only_inline.html"
    extra = 0
    can_delete = False
    classes = ("ro-read-only",)
    show_change_link = False

    class Media:
        """Adds the style sheet of these tables to the page."""

        css: ClassVar = {"all": ["reciprocal_oauth/admin.css"]}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return ``False``, because nobody may add rows to the table."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return ``False``, because nobody may edit the rows of the table."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return ``False``, because nobody may delete rows of the table."""
        return False


def _keys_of(rows: QuerySet[Any]) -> Any:
    """Return the primary keys of ``rows``, for use in a filter with ``__in``.

    If there are at most ``_MAX_KEYS`` rows, fetch the keys and return them as a list, because
    databases are faster with a short list of values. Otherwise return a queryset, which becomes a
    subquery.
    """
    keys = rows.order_by().values_list("pk", flat=True)
    few = list(keys[: _MAX_KEYS + 1])
    return few if len(few) <= _MAX_KEYS else keys


def stored_or_none(value: Secret | None) -> str:
    """Return “stored” if ``value`` contains a secret, and “none” otherwise. The admin shows this
    word instead of the secret."""
    return str(_("stored")) if value else str(_("none"))


def with_reason(state: str, reason: str) -> str:
    """Return the text ``state``. If ``reason`` is not empty, add it after a colon."""
    if not reason:
        return state
    return gettext("%(state)s: %(reason)s") % {"state": state, "reason": reason}
