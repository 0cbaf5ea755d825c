"""Lists in pages that stay put while rows are added: by a cursor, never by an offset."""

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

MAX_PAGE_SIZE = 100


class Pages(CursorPagination):
    """In the ``ordering`` of the view. ``page_size`` may be 1 to ``MAX_PAGE_SIZE``."""

    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE

    def get_ordering(self, request: Request, queryset: QuerySet, view: Any) -> tuple[str, ...]:
        ordering: tuple[str, ...] = view.ordering
        return ordering

    def get_page_size(self, request: Request) -> int:
        """:raises ValidationError: ``page_size`` is no number of that range."""
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
        """:raises NotFound: the cursor is none of ours."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (DjangoValidationError, ValueError) as error:  # A position that is no date.
            raise NotFound(self.invalid_cursor_message) from error

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        if cursor and "\0" in str(cursor.position):  # PostgreSQL fails over it.
            raise NotFound(self.invalid_cursor_message)
        return cursor
