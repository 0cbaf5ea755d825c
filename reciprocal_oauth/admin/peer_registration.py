"""The button “Register this site there” on the admin page that adds a peer. After a click on it,
this site registers itself at the other site (RFC 7591, section 3), and the peer is saved with the
client ID and the client secret that it gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import validate_slug
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from ..client.registration import Registration
from ..core import site_address
from ..core.peer_urls import origin_of
from ..exceptions import PeerError
from ..models import Peer
from ..peers import discovery, foreign_registration
from ..peers.foreign_registration import CannotRegister, Plan
from ..secret import Secret
from .peer_discovery import Found, PeerDiscoveryMixin
from .scope_fields import others_name

_BUTTON = "_register"
_TOKEN = "initial_access_token"  # noqa: S105


@dataclass(frozen=True)
class _Registered:
    """A registration that the other site has made, for a peer that is being saved."""

    plan: Plan
    result: Registration


class PeerRegistrationMixin(PeerDiscoveryMixin):
    """Adds the button “Register this site there” to the page that adds a peer, if the metadata of
    the other site names a registration endpoint."""

    def registration_fieldsets(self, request: HttpRequest) -> list[Any]:
        """Return the fieldset with the button; nothing if no registration endpoint was found."""
        endpoint = request.POST.get("registration_endpoint", "")
        if not endpoint:
            return []
        host = format_html("<bdi>{}</bdi>", urlsplit(origin_of(endpoint)).netloc)
        text = format_html(
            gettext(
                "The other site lets this site register itself, at {}. Fill in the whole form "
                "except the client ID and the client secret, and press the button. The peer is "
                "then saved. If the other site wants an initial access token, its administrator "
                "makes one. The other half is left to do by hand: this site must be entered at the "
                "other site as the server of its client."
            ),
            host,
        )
        fields = ["registration_endpoint", "our_name", _TOKEN]
        if origin_of(endpoint) != origin_of(request.POST.get("issuer", "")):
            fields.insert(2, "other_host")
        title = _("Registration of this site at the other site")
        return [(title, {"fields": fields, "description": text})]

    @sensitive_variables()
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Render the page that adds a peer, or save the new peer. If the user wants this site to
        register at the other site, do that before saving.

        :raises PermissionDenied: the user may not add peers.
        """
        if request.method != "POST" or _BUTTON not in request.POST:
            return super().add_view(request, form_url, extra_context)
        if not self.has_add_permission(request):
            raise PermissionDenied
        typed = request.POST.copy()
        token = Secret(typed.pop(_TOKEN, [""])[-1].strip())
        del typed[_BUTTON]
        try:
            plan = _plan(typed, site_address.base_url(request))
            form = self._checked(request, typed, plan)
            if form.errors:
                found = Found(problems=_problems_of(form))
                return self.render_found(request, found, extra_context, checked=form)
            result = foreign_registration.send(plan, token)
        except CannotRegister as error:
            reason = str(error)
        except PeerError as error:
            reason = foreign_registration.explain(error)
        else:
            registered = _Registered(plan, result)
            return self._save(request, typed, registered, form_url, extra_context)
        return self.render_found(request, Found(problems={_TOKEN: [reason]}), extra_context)

    @sensitive_variables()
    def _checked(self, request: HttpRequest, typed: QueryDict, plan: Plan) -> Any:
        """Return the form as it would be saved if the registration succeeds. So a registration is
        sent only if everything else is right."""
        fields = flatten_fieldsets(self.get_fieldsets(request))
        return self.get_form(request, None, fields=fields)(_with(typed, plan.placeholders()))

    @sensitive_variables()
    def _save(
        self,
        request: HttpRequest,
        typed: QueryDict,
        registered: _Registered,
        form_url: str,
        extra_context: Any,
    ) -> HttpResponse:
        """Save the peer as if the user had entered the client ID and the client secret."""
        values = foreign_registration.peer_values(registered.plan, registered.result)
        request.POST = _with(typed, values)  # type: ignore[assignment]
        request.reciprocal_registered = registered  # type: ignore[attr-defined]
        try:
            response = super().add_view(request, form_url, extra_context)
        except Exception:
            foreign_registration.give_back(registered.result)
            raise
        if response.status_code != 302:
            # Something has changed since the form was checked.
            foreign_registration.give_back(registered.result)
        return response

    @sensitive_variables()
    def save_model(self, request: HttpRequest, obj: Peer, form: Any, change: bool) -> None:
        """Save the peer. If this site has just registered there, also save the access to the
        registration (RFC 7592), and tell the user what is special about the registration."""
        super().save_model(request, obj, form, change)
        registered: _Registered | None = getattr(request, "reciprocal_registered", None)
        if registered is None or change:
            return
        foreign_registration.store(obj, registered.plan, registered.result, user=request.user)
        text = gettext("This site is registered there. Its client ID is %s.") % obj.client_id
        self.message_user(request, text, messages.SUCCESS)
        for remark in foreign_registration.remarks(registered.plan, registered.result):
            self.message_user(request, remark, messages.WARNING)


def _problems_of(form: Any) -> dict[str, list[str]]:
    return {name: [str(each) for each in reasons] for name, reasons in form.errors.items()}


def _plan(typed: QueryDict, base: str) -> Plan:
    """Return the registration to send.

    The metadata is fetched again, so that the registration goes where the issuer says and not where
    a form says. At another host than the issuer, the user must have confirmed the endpoint.

    :raises CannotRegister: this site cannot register there.
    :raises PeerError: the metadata cannot be read.
    """
    issuer = typed.get("issuer", "").strip()
    if not issuer:
        raise CannotRegister(gettext("Enter the issuer of the other site."))
    metadata = discovery.find(issuer)
    slug = typed.get("slug", "")
    try:
        validate_slug(slug)
    except ValidationError:
        slug = "short-name"  # The form will say that the short name is wrong.
    is_confirmed = "other_host" in typed and (
        typed.get("registration_endpoint") == metadata.registration_endpoint
    )
    return foreign_registration.plan(
        metadata,
        slug,
        base=base,
        our_name=typed.get("our_name", "").strip(),
        scope=" ".join([*typed.getlist("scope"), typed.get(others_name("scope"), "")]),
        endpoint=metadata.registration_endpoint if is_confirmed else "",
        dialect=typed.get("dialect", ""),
    )


@sensitive_variables()
def _with(typed: QueryDict, values: Mapping[str, Any]) -> QueryDict:
    data = typed.copy()
    for name, value in values.items():
        data[name] = value.reveal() if isinstance(value, Secret) else value
    return data
