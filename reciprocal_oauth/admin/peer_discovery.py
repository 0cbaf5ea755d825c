"""The button “Look up” on the admin page that adds a peer. After a click on the button, this site
fetches the metadata of the peer (RFC 8414, section 3), and fills in the fields of the form."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from ..core.database import outside_transactions
from ..core.peer_urls import is_endpoint
from ..exceptions import NoMetadata, PeerError
from ..models import Pairing, Peer
from ..models.binding import ENDPOINTS
from ..peers import discovery
from ..redaction.error_reports import holding_secrets
from ..vendors import preset_of
from .pairing_forms import proposed_slug
from .pairing_rights import may_pair
from .peer_new_form import LookedUpForm, NewPeerForm
from .peer_secret import keep_secret
from .peer_sheet import PeerSheetMixin

_BUTTON = "_look_up"
#: The name of a hidden button at the top of the form. When the user presses the key Enter in a
#: field, the browser behaves as if the user had pressed the first button of the form, so the
#: request contains this name.
_ENTER = "_enter"
#: The fields that always get the value that was found, whatever their value was.
_FOUND_WINS = (
    "token_endpoint_auth_method",
    "peer_words",
    "peer_scopes",
    "registration_endpoint",
)
#: The fields that always have a value.
_WITH_DEFAULT = (
    "dialect",
    "token_endpoint_auth_method",
    "assertion_algorithm",
    "authenticates_here_by",
)
#: The value of the parameter ``by`` in the URL of the form, to enter everything by hand.
BY_HAND = "hand"


@dataclass(frozen=True)
class Found:
    """The result of a look-up of the peer's metadata. Each attribute is a mapping whose keys are
    names of form fields.

    :ivar values: the value that was found for each field.
    :ivar problems: for some of the fields, the reasons why the look-up found no value.
    :ivar hints: for some of the fields, a remark that the form shows to the user.
    :ivar can_pair: whether the other site can pair with this one.
    :ivar source: the issuer that a sheet names; ``""`` after a look-up.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    problems: Mapping[str, list[str]] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    can_pair: bool = False
    source: str = ""


def found_on(request: HttpRequest) -> Found:
    """Return what was found for the page that this request shows."""
    found: Found = getattr(request, "reciprocal_found", None) or Found()
    return found


def is_first_step(request: HttpRequest) -> bool:
    """Return whether the page that adds a peer asks only for the address or the sheet of the other
    site."""
    if request.method == "POST":
        return getattr(request, "reciprocal_first_step", False)
    is_other_form = preset_of(request.GET.get("dialect", "")) or request.GET.get("pairing")
    return not is_other_form and request.GET.get("by") != BY_HAND


class PeerDiscoveryMixin(PeerSheetMixin):
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
        form = super().get_form(request, obj, change=change, **kwargs)
        if issubclass(form, NewPeerForm):
            form.may_create = self.may_create_applications(request)
        return form

    @method_decorator(sensitive_variables())
    @method_decorator(
        sensitive_post_parameters("client_secret", "sealed_secret", "initial_access_token")
    )
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Render the page that adds a peer, or save the new peer. If the user wants a look-up, do
        not save, but fetch the metadata and show the form with the values that were found.

        :raises PermissionDenied: the user may not add peers.
        """
        if is_first_step(request):
            extra_context = {"is_first_step": True, **(extra_context or {})}
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
        keep_secret(request)
        data, hints = _merged(request.POST, found)
        request.POST = data  # type: ignore[assignment]  # The fieldsets depend on what was found.
        request.reciprocal_found = found  # type: ignore[attr-defined]
        if "slug" not in data:  # The user was on the first page.
            request.reciprocal_first_step = not found.values  # type: ignore[attr-defined]
            _fill_in_defaults(data, self.get_changeform_initial_data(request))
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
            "is_first_step": is_first_step(request),
            "preserved_filters": self.get_preserved_filters(request),
            **(extra or {}),
        }
        return self.render_change_form(request, context, add=True)

    def _report(self, request: HttpRequest, form: LookedUpForm, found: Found) -> None:
        if not found.values:
            return
        shown = [
            name
            for name in found.values
            if name in form.fields and not form.fields[name].widget.is_hidden
        ]
        labels = ", ".join(str(form.fields[name].label) for name in shown)
        text = gettext("Found: %s.") % labels
        if missing := form.missing():
            text += " " + gettext("Please fill in: %s.") % ", ".join(missing)
        self.message_user(request, text, messages.SUCCESS)
        if found.source:
            text = gettext("This sheet says that it is from %s. Check that you mean this site.")
            self.message_user(request, text % found.source, messages.WARNING)
        if found.can_pair and may_pair(request) and self.admin_site.is_registered(Pairing):
            url = reverse(f"{self.admin_site.name}:reciprocal_oauth_pairing_invite")
            text = gettext(
                "The other site can pair with this one: then nobody has to copy anything."
            )
            link = format_html('<a href="{}">{}</a>', url, gettext("Invite it"))
            self.message_user(request, format_html("{} {}", text, link))


def fields_of_scopes(names: Iterable[str], words: Mapping[str, Any]) -> dict[str, str]:
    """Return the hidden fields that tell the form which scopes the other site has.

    :param words: what they mean, in the form of ``Peer.scope_words``.
    """
    return {"peer_scopes": json.dumps(list(names)), "peer_words": json.dumps(dict(words))}


def _fill_in_defaults(data: QueryDict, initial: Mapping[str, Any]) -> None:
    """Fill in what the first page does not ask for: the usual values, and a short name."""
    usual = Peer()
    for name in _WITH_DEFAULT:
        data.setdefault(name, initial.get(name) or getattr(usual, name))
    data.setdefault("enabled", "on")
    data.setdefault("slug", proposed_slug(str(data["issuer"])) if data.get("issuer") else "")


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
    values |= fields_of_scopes(metadata.scopes, discovery.words_of(metadata))
    values.pop("scope_words", None)
    values["registration_endpoint"] = metadata.registration_endpoint
    hints = discovery.warnings_about(metadata)
    if not metadata.revocation_endpoint:
        hints["revocation_endpoint"] = gettext(
            "The metadata has no revocation endpoint. When a connection ends, our access at the "
            "peer is not revoked."
        )
    return Found(values, hints=hints, can_pair=bool(metadata.reciprocal_registration_endpoint))


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
