"""The button “Use the sheet” on the admin page that adds a peer. The sheet is a file that the other
site has exported. Its values fill in the form."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from ..core.peer_urls import origin_of
from ..peers import sheet_file
from ..peers.sheet_file import ImportedSheet, UnusableSheet
from .peer_discovery import Found, PeerDiscoveryMixin, fields_of_scopes

_BUTTON = "_use_sheet"


class PeerSheetImportMixin(PeerDiscoveryMixin):
    """Adds the import of a sheet to the page that adds a peer."""

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Render the page that adds a peer, or save the new peer. If the user wants to use a sheet,
        do not save, but show the form with the values of the sheet.

        :raises PermissionDenied: the user may not add peers.
        """
        is_file_sent = request.method == "POST" and "sheet" in request.FILES
        if not is_file_sent and (request.method != "POST" or _BUTTON not in request.POST):
            return super().add_view(request, form_url, extra_context)
        if not self.has_add_permission(request):
            raise PermissionDenied
        found = _found(_content(request))
        data = request.POST.copy()
        data["pasted_sheet"] = "" if found.values else data.get("pasted_sheet", "")
        request.POST = data  # type: ignore[assignment]
        return self.render_found(request, found, extra_context)


def _content(request: HttpRequest) -> bytes:
    """Return the content of the file, or what was pasted. Read no more than a sheet can have."""
    limit = sheet_file.MAX_BYTES + 1
    file = request.FILES.get("sheet")
    if file is not None:
        content: bytes = file.read(limit)
        return content
    return request.POST.get("pasted_sheet", "").strip().encode()[:limit]


def _found(content: bytes) -> Found:
    """Return what the sheet says, for the form."""
    if not content:
        return Found(problems={"sheet": [gettext("Choose the file of the sheet, or paste it.")]})
    try:
        sheet = sheet_file.read(content)
    except UnusableSheet as error:
        return Found(problems={"sheet": error.problems})
    values = dict(sheet.values)
    values |= fields_of_scopes(values.get("scope", "").split(), {})
    values["redirect_uris"] = "\n".join(sheet.redirect_uris)
    return Found(values, hints=_hints(sheet), source=sheet.values["issuer"])


def _hints(sheet: ImportedSheet) -> dict[str, str]:
    hints = {}
    if sheet.asked_scope:
        hints["allowed_scope"] = gettext("The other site asks for: %s.") % sheet.asked_scope
    if others := sheet.other_origins():
        hints["issuer"] = gettext(
            "The sheet also names %(others)s. Ask the other site whether this is right: codes, "
            "tokens or secrets are sent there."
        ) % {"others": ", ".join(others)}
    origin = origin_of(sheet.values["issuer"])
    for name in sheet.left_out:
        text = gettext(
            "The value in the sheet cannot be used, and was left out. An address must be at %s."
        )
        hints[name] = text % origin
    return hints
