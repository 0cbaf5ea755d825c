"""Pages of lists by cursor: new rows do not shift the pages, as they would with an offset."""

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

MAX_PAGE_SIZE = 100


class Pages(CursorPagination):
    """Pages in the ``ordering`` of the view. ``page_size`` can be 1 to ``MAX_PAGE_SIZE``."""

    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE

    def get_ordering(self, request: Request, queryset: QuerySet, view: Any) -> tuple[str, ...]:
        """Return the ordering that the view declares; a client cannot choose another one."""
        ordering: tuple[str, ...] = view.ordering
        return ordering

    def get_page_size(self, request: Request) -> int:
        """Read ``page_size`` from the query.

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
        """Return the rows of the page.

        :raises NotFound: the cursor is not one that this API made.
        """
        try:
            return super().paginate_queryset(queryset, request, view)
        except (DjangoValidationError, ValueError) as error:  # The position is not a date.
            raise NotFound(self.invalid_cursor_message) from error

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Decode the cursor in the query.

        :raises NotFound: the cursor is not one that this API made.
        """
        cursor = super().decode_cursor(request)
        if cursor and "\0" in str(cursor.position):  # PostgreSQL raises an error for NUL.
            raise NotFound(self.invalid_cursor_message)
        return cursor
