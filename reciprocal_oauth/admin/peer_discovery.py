"""The button “Look up” on the admin page that adds a peer. After a click on the button, this site
fetches the metadata of the peer (RFC 8414, section 3), and fills in the fields of the form."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.translation import get_language, gettext
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from ..client.discovery import Metadata
from ..core.database import outside_transactions
from ..core.peer_urls import is_endpoint
from ..exceptions import NoMetadata, PeerError
from ..models import Peer
from ..models.binding import ENDPOINTS
from ..peers import discovery
from ..redaction.error_reports import holding_secrets
from .peer_form import LookedUpForm, NewPeerForm

_BUTTON = "_look_up"
#: The name of a hidden button at the top of the form. When the user presses the key Enter in a
#: field, the browser behaves as if the user had pressed the first button of the form, so the
#: request contains this name.
_ENTER = "_enter"
#: The fields that always get the value that was found, whatever their value was.
_FOUND_WINS = ("token_endpoint_auth_method", "peer_words", "registration_endpoint")


@dataclass(frozen=True)
class Found:
    """The result of a look-up of the peer's metadata. Each attribute is a mapping whose keys are
    names of form fields.

    :ivar values: the value that was found for each field.
    :ivar problems: for some of the fields, the reasons why the look-up found no value.
    :ivar hints: for some of the fields, a remark that the form shows to the user.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    problems: Mapping[str, list[str]] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)


class PeerDiscoveryMixin(admin.ModelAdmin):
    """Adds two things to the page that adds a peer: a field for the address of the other site, and
    the button “Look up”. After a look-up, the page shows the form with the values that were
    found."""

    add_form_template = "reciprocal_oauth/admin/peer_add_form.html"

    def get_urls(self) -> list[Any]:
        """Return the URLs of the admin class. The first one replaces the URL of Django's page that
        adds a peer."""
        # During a look-up, the view waits for responses of the peer. Do not keep a database
        # transaction open during this time, so exempt the view from ATOMIC_REQUESTS. To save the
        # peer, the view calls Django's own view, which opens a transaction itself.
        view = outside_transactions(holding_secrets(self.admin_site.admin_view(self.add_view)))
        name = f"{self.opts.app_label}_{self.opts.model_name}_add"
        return [path("add/", view, name=name), *super().get_urls()]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any):  # type: ignore[no-untyped-def]
        """Return the form class. For a new peer, this is the form with the additional field for the
        address of the other site."""
        if obj is None:
            kwargs.setdefault("form", NewPeerForm)
        return super().get_form(request, obj, change=change, **kwargs)

    @method_decorator(sensitive_variables())
    @method_decorator(sensitive_post_parameters("client_secret", "initial_access_token"))
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Render the page that adds a peer, or save the new peer. If the user wants a look-up, do
        not save, but fetch the metadata and show the form with the values that were found.

        :raises PermissionDenied: the user may not add peers.
        """
        if request.method != "POST" or not _asks_for_look_up(request.POST):
            return super().add_view(request, form_url, extra_context)
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self.render_found(request, _look_up(request.POST.get("address", "")), extra_context)

    @sensitive_variables()
    def render_found(
        self, request: HttpRequest, found: Found, extra: Any, checked: Any = None
    ) -> HttpResponse:
        """Render the form with what the user has typed, and with ``found``. Save nothing.

        :param checked: a form that was checked and whose question the page has to ask; see
            :class:`.peer_reconfiguration.ReconfigurationForm`.
        """
        data, hints = _merged(request.POST, found)
        request.POST = data  # type: ignore[assignment]  # The fieldsets depend on what was found.
        fieldsets: Any = list(self.get_fieldsets(request))
        form_class = self.get_form(
            request, None, form=LookedUpForm, fields=flatten_fieldsets(fieldsets)
        )
        form = form_class(data, problems=found.problems, hints=hints)
        for name in ("instance", "moves", "left_behind", "people", "asks"):
            if checked is not None:
                setattr(form, name, getattr(checked, name))
        self._report(request, form, found)
        admin_form = helpers.AdminForm(
            form,
            fieldsets,
            self.get_prepopulated_fields(request),
            self.get_readonly_fields(request),
            model_admin=self,
        )
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Add %s") % self.opts.verbose_name,
            "adminform": admin_form,
            "errors": helpers.AdminErrorList(form, []),
            "inline_admin_formsets": [],
            "is_popup": False,
            "media": self.media + admin_form.media,
            "preserved_filters": self.get_preserved_filters(request),
            **(extra or {}),
        }
        return self.render_change_form(request, context, add=True)

    def _report(self, request: HttpRequest, form: LookedUpForm, found: Found) -> None:
        if not found.values:
            return
        shown = [name for name in found.values if not form.fields[name].widget.is_hidden]
        labels = ", ".join(str(form.fields[name].label) for name in shown)
        text = gettext("Found: %s.") % labels
        if missing := form.missing():
            text += " " + gettext("Please fill in: %s.") % ", ".join(missing)
        self.message_user(request, text, messages.SUCCESS)


def _asks_for_look_up(typed: QueryDict) -> bool:
    """Return whether the user wants a look-up: the user pressed the button “Look up”, or entered an
    address and pressed the key Enter."""
    return _BUTTON in typed or (_ENTER in typed and bool(typed.get("address", "").strip()))


def _look_up(address: str) -> Found:
    if not address.strip():
        return Found(problems={"address": [gettext("Enter the address of the other site.")]})
    try:
        metadata = discovery.find(address)
    except PeerError as error:
        reasons = str(error).splitlines()
        if not isinstance(error, NoMetadata):
            return Found(problems={"address": reasons})
        by_field = {name: [_by_itself(why)] for name, why in error.problems.items()}
        values = {name: url for name, url in error.endpoints.items() if url}
        return Found(values, {"address": reasons, **by_field})
    values = {name: value for name, value in discovery.values_of(metadata).items() if value}
    values["peer_words"] = json.dumps(values.pop("scope_words", {}))
    values["registration_endpoint"] = metadata.registration_endpoint
    hints = discovery.warnings_about(metadata)
    if not metadata.revocation_endpoint:
        hints["revocation_endpoint"] = gettext(
            "The metadata has no revocation endpoint. When a connection ends, our access at the "
            "peer is not revoked."
        )
    if metadata.scopes:
        hints["scope"] = gettext("The metadata lists: %s.") % _listed(metadata)
    return Found(values, hints=hints)


def _listed(metadata: Metadata) -> str:
    """Return the scopes in ``metadata``. If the other site says what they mean, add its words."""
    words = Peer(scope_words=discovery.words_of(metadata)).words_of(get_language() or "")
    if not words:
        return " ".join(metadata.scopes)
    described = [f"{each} (“{words[each]}”)" if each in words else each for each in metadata.scopes]
    return ", ".join(described)


def _by_itself(reason: str) -> str:
    """Return an error message for one field: “Not found: ”, followed by ``reason``."""
    return gettext("Not found: %s.") % reason.rstrip(".")


def _merged(typed: QueryDict, found: Found) -> tuple[QueryDict, dict[str, str]]:
    """Fill the form with the values that were found in the metadata.

    If the user typed another value into a text field, keep the typed value, and add a hint with the
    value that was found. Checkboxes, hidden fields and the authentication method always get the
    value found.

    :param typed: the form as the user has sent it.
    :returns: the data for the form, and a mapping from the names of some fields to hints.
    """
    data, hints = typed.copy(), dict(found.hints)
    for name, value in found.values.items():
        before = data.get(name, "")
        if value is True:
            data[name] = "on"  # A browser sends this value for a checkbox that is checked.
        elif name not in _FOUND_WINS and before not in ("", value):
            if name in ENDPOINTS and is_endpoint(before, value):
                continue
            hints[name] = gettext("The metadata has %s. Your value was kept.") % value
        else:
            data[name] = value
    if "issuer" in found.values:
        data["address"] = ""
    return data, hints
