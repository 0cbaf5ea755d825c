"""Splits lists into pages by a cursor: a text that says at which row the next page begins.

Page numbers are not used, because a new row would move later rows to the next page. A client that
reads page after page would then get a row twice.
"""

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

MAX_PAGE_SIZE = 100


class Pages(CursorPagination):
    """Pagination in the order that the view declares.

    A client can choose ``page_size`` from 1 to ``MAX_PAGE_SIZE``.
    """

    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE

    def get_ordering(self, request: Request, queryset: QuerySet, view: Any) -> tuple[str, ...]:
        """Return the order that the view declares. A client cannot choose another order."""
        ordering: tuple[str, ...] = view.ordering
        return ordering

    def get_page_size(self, request: Request) -> int:
        """Return the ``page_size`` in the query, or the default if the query has none.

        :raises ValidationError: ``page_size`` is not a whole number from 1 to ``MAX_PAGE_SIZE``.
        """
        asked = request.query_params.get("page_size")
        if asked is None:
            return self.page_size
        if not (asked.isascii() and asked.isdigit() and len(asked) <= 3) or not (
            0 < int(asked) <= MAX_PAGE_SIZE
        ):
            text = _("This must be a whole number from 1 to %(most)d.") % {"most": MAX_PAGE_SIZE}
            raise ValidationError({"page_size": [text]})
        return int(asked)

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> list[Any] | None:
        """Return the rows of the page to which the cursor in the query points.

        :raises NotFound: the cursor was not made by this API.
        """
        try:
            return super().paginate_queryset(queryset, request, view)
        except (DjangoValidationError, ValueError) as error:
            # The cursor contains no valid date, so this API did not make it.
            raise NotFound(self.invalid_cursor_message) from error

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return the decoded cursor of the query, or ``None`` if the query has none.

        :raises NotFound: the cursor was not made by this API.
        """
        cursor = super().decode_cursor(request)
        if cursor and "\0" in str(cursor.position):  # PostgreSQL refuses NUL characters.
            raise NotFound(self.invalid_cursor_message)
        return cursor
