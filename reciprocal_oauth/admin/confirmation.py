"""Actions that ask before they do something: the answer comes as the same action, with ``sure``.

The page names the rows that it is about, and so does the answer: what has come into the list since
is not among them. It leads back to the list as it was filtered.
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


class AskingMixin(admin.ModelAdmin):
    """What the actions of an admin class ask with. Each has a template of its name, which extends
    ``reciprocal_oauth/admin/question.html``."""

    #: So many rows are dealt with by one request.
    most_at_once = 200

    def chosen(self, request: HttpRequest, queryset: QuerySet[_Row]) -> list[_Row] | None:
        """What was chosen in the list; ``None``, and says so, if it is too much for one request."""
        rows = list(queryset[: self.most_at_once + 1])
        if len(rows) <= self.most_at_once:
            return rows
        text = gettext("Choose at most %d at once.") % self.most_at_once
        self.message_user(request, text, messages.ERROR)
        return None

    def is_sure(self, request: HttpRequest) -> bool:
        return "sure" in request.POST

    def ask(
        self, request: HttpRequest, action: str, title: str, rows: Sequence[Model], **more: Any
    ) -> HttpResponse:
        """:param more: what the template of ``action`` needs beside ``rows``."""
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
