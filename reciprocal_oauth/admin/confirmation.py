"""Actions of the admin that show a confirmation page before they change rows.

The form on the confirmation page sends the same action again, with the extra field ``sure``. The
form contains the ids of the selected rows, so the action cannot affect rows that were added to the
list after the page was shown. After the action, the list is shown with the same filters as before.
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
    """Lets the actions of an admin class show a confirmation page.

    Each action has its own template, ``reciprocal_oauth/admin/<name of the action>.html``. This
    template extends ``reciprocal_oauth/admin/question.html``.
    """

    #: The largest number of rows that a user may select for one action.
    max_rows = 200

    def selected_rows(self, request: HttpRequest, queryset: QuerySet[_Row]) -> list[_Row] | None:
        """Return the selected rows.

        If more than :attr:`max_rows` rows are selected, show an error message and return ``None``.
        """
        rows = list(queryset[: self.max_rows + 1])
        if len(rows) <= self.max_rows:
            return rows
        text = gettext("Select at most %d rows at once.") % self.max_rows
        self.message_user(request, text, messages.ERROR)
        return None

    def is_confirmed(self, request: HttpRequest) -> bool:
        """Return whether the user has confirmed the action, by sending the form of the confirmation
        page."""
        return "sure" in request.POST

    def ask_for_confirmation(
        self, request: HttpRequest, action: str, title: str, rows: Sequence[Model], **more: Any
    ) -> HttpResponse:
        """Show the confirmation page of ``action``.

        :param title: the title of the page.
        :param rows: the rows that the page lists, and that the action will change.
        :param more: additional values for the context of the template.
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
