"""Actions that ask for confirmation. The confirmed form sends the same action again, with ``sure``.

The form contains the ids of the rows, so rows that are added to the list meanwhile are not
affected. Afterwards the list is shown with the same filters.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext

_Row = TypeVar("_Row", bound=Model)


class ConfirmationMixin(admin.ModelAdmin):
    """Lets the actions of an admin class ask for confirmation. Each action has a template with its
    name, which extends ``reciprocal_oauth/admin/question.html``."""

    #: The largest number of rows in one request.
    max_rows = 200

    def selected_rows(self, request: HttpRequest, queryset: QuerySet[_Row]) -> list[_Row] | None:
        """The selected rows; ``None``, with a message, if there are more than :attr:`max_rows`."""
        rows = list(queryset[: self.max_rows + 1])
        if len(rows) <= self.max_rows:
            return rows
        text = gettext("Select at most %d at once.") % self.max_rows
        self.message_user(request, text, messages.ERROR)
        return None

    def is_confirmed(self, request: HttpRequest) -> bool:
        """Whether the request comes from the confirmation page."""
        return "sure" in request.POST

    def ask_for_confirmation(
        self, request: HttpRequest, action: str, title: str, rows: Sequence[Model], **more: Any
    ) -> HttpResponse:
        """Show the confirmation page of ``action``.

        :param more: what the template needs in addition to ``rows``.
        """
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "media": self.media,
            "action": action,
            "rows": rows,
            "checkbox_name": ACTION_CHECKBOX_NAME,
            "back": request.get_full_path(),
            **more,
        }
        request.current_app = self.admin_site.name
        template = f"reciprocal_oauth/admin/{action}.html"
        return TemplateResponse(request, template, context)
