"""The first page of “Add peer”, on which the user chooses the vendor of the peer, and the form for
a peer of this vendor. The page of the peer has the fields that the form leaves out."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from ..core import plugins, site_address
from ..core.database import atomic
from ..models import Pairing, Peer
from ..peers.sheet import console_lines, sheet_for
from ..secret import Secret
from ..vendors import Preset, preset_of, presets
from .pairing_rights import may_pair
from .peer_form import dialect_in_words
from .peer_sheet import PeerSheetMixin
from .peer_vendor_form import field_of, form_class_for

#: The name of the button that makes the application before the peer.
_APPLICATION_FIRST = "_application_first"
#: The name of the dialect that follows the draft. There is no preset for its peers.
_DRAFT = "ietf"


class PeerVendorMixin(PeerSheetMixin):
    """Adds the choice of the vendor to “Add peer”, and the form for a peer of a vendor."""

    def preset_for(self, request: HttpRequest) -> Preset | None:
        """Return the preset of the vendor that the user has chosen; ``None`` if the user has chosen
        another kind of peer."""
        return preset_of(request.GET.get("dialect", ""))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Render the page on which the user chooses the vendor, or the form for a new peer, or save
        the new peer.

        :raises PermissionDenied: the user may not add peers.
        """
        chosen = request.GET.get("dialect")
        if request.method in ("GET", "HEAD") and chosen not in plugins.dialects():
            return self._choice(request)
        preset = self.preset_for(request)
        if preset is None:
            return super().add_view(request, form_url, extra_context)
        if request.method == "POST" and _APPLICATION_FIRST in request.POST:
            response = self._application_first(request, preset)
            if response is not None:
                return response
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        context = {**buttons, **(extra_context or {})}
        response = self.changeform_view(request, None, form_url, context)
        return response

    @sensitive_variables()
    def _application_first(self, request: HttpRequest, preset: Preset) -> HttpResponse | None:
        """Make the application of a peer that is not added yet. Show what to enter in the console
        of the vendor, and a link back to the form, with what the user has typed.

        :returns: ``None`` if the form has errors, so that no application can be made.
        :raises PermissionDenied: the user may not add peers, or may not add and choose
            applications.
        """
        if not (self.has_add_permission(request) and self._may_make_first(request)):
            raise PermissionDenied
        form = self.get_form(request)(request.POST)
        application = form.application_first()
        if application is None:
            return None
        secret = Secret(application.client_secret)
        with atomic():
            application.save()
            self.log_addition(request, application, [{"added": {}}])
        peer = form.instance
        sheet = sheet_for(peer, site_address.base_url(request))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("What to enter in the console for %s") % peer,
            "opts": self.opts,
            "preset": preset,
            "console": console_lines(peer, replace(sheet, client_id=application.client_id)),
            "secret": secret,
            "query": f"?{urlencode(form.typed(application), doseq=True)}",
            "media": self.media,
        }
        request.current_app = self.admin_site.name
        response = TemplateResponse(
            request, "reciprocal_oauth/admin/peer_application.html", context
        )
        response["Cache-Control"] = "no-store"  # As for the page with all values.
        return response

    def _may_make_first(self, request: HttpRequest) -> bool:
        return self.may_create_applications(request) and self.may_change_applications(request)

    def _choice(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        own = sorted(plugins.dialects().keys() - {each.dialect for each in presets()} - {_DRAFT})
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Add %s") % self.opts.verbose_name,
            "opts": self.opts,
            "draft_query": _query(request, _DRAFT),
            "vendors": [
                (preset, _query(request, preset.dialect), _asks_for(preset))
                for preset in sorted(presets(), key=lambda preset: preset.name)
            ],
            "dialects": [(_label(name), _query(request, name)) for name in own],
            "may_pair": may_pair(request) and self.admin_site.is_registered(Pairing),
            "media": self.media,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "reciprocal_oauth/admin/peer_vendors.html", context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any):  # type: ignore[no-untyped-def]
        """Return the form class. For a new peer of a vendor, it is the short form."""
        preset = self.preset_for(request) if obj is None else None
        if preset is not None:
            form = form_class_for(preset, may_create=self.may_create_applications(request))
            kwargs.setdefault("form", form)
        return super().get_form(request, obj, change=change, **kwargs)

    def vendor_fieldsets(self, request: HttpRequest, preset: Preset) -> Any:
        """Return the fieldsets of the form for a new peer of a vendor."""
        vendor = {"vendor": preset.name}
        console = gettext("From the console of %(vendor)s") % vendor
        answers = [field_of(question) for question in preset.questions]
        first = _offer_application_first() if self._may_make_first(request) else ""
        return [
            (preset.name, {"fields": (), "description": _introduction(preset)}),
            (None, {"fields": ("name", "slug")}),
            *([(console, {"fields": answers, "description": first})] if answers else []),
            (
                gettext("What %(vendor)s may do here") % vendor,
                {"fields": ("allowed_scope",)},
            ),
            (_("Registration of the peer here"), {"fields": ("application",)}),
        ]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return the first values of the form for a new peer. The name is that of the vendor, and
        the short name is that of its dialect, unless another peer has it."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        if preset := self.preset_for(request):
            initial = {"name": preset.name, "slug": _free_slug(preset.dialect), **initial}
            initial["allowed_scope"] = request.GET.getlist("allowed_scope")
        return initial

    @sensitive_variables()
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the peer. Before that, save its application, if the form has created or changed
        one."""
        application = getattr(form, "application_to_save", None)
        if application is not None:
            is_new = application._state.adding
            obj.secret_made_here = Secret(application.client_secret) if is_new else None
            application.save()
            obj.application = application
            if is_new:
                self.log_addition(request, application, [{"added": {}}])
            else:
                fields = [str(application._meta.get_field("redirect_uris").verbose_name)]
                self.log_change(request, application, [{"changed": {"fields": fields}}])
        super().save_model(request, obj, form, change)

    @sensitive_variables()
    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Respond after a peer was added. For a peer of a vendor, show what to enter in the console
        of the vendor. If a client secret was made, it is shown only in this response."""
        secret: Secret | None = getattr(obj, "secret_made_here", None)
        if self.preset_for(request) is None:
            if secret is None or obj.uses_key_here:
                return super().response_add(request, obj, post_url_continue)
            text = gettext("%(peer)s was added. Now give these values to the other site.")
            self.message_user(request, text % {"peer": obj}, messages.SUCCESS)
            shown: HttpResponse = self.sheet_response(request, obj, secret)
            return shown
        text = gettext("%(peer)s was added. Now enter these values in the console of the vendor.")
        self.message_user(request, text % {"peer": obj}, messages.SUCCESS)
        if secret is not None:
            response: HttpResponse = self.sheet_response(request, obj, secret)
            return response
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_sheet"
        return redirect(reverse(name, args=[obj.pk]))


def _label(name: str) -> str:
    words = dialect_in_words(name)
    return words if words != name else gettext("A site with the dialect “%s”") % name


def _query(request: HttpRequest, dialect: str) -> str:
    """Return the query of the form for a peer with this dialect. It keeps the parameters of Django,
    such as the filters of the list of peers."""
    kept = {name: request.GET[name] for name in request.GET if name.startswith("_")}
    return f"?{urlencode({'dialect': dialect, **kept})}"


def _asks_for(preset: Preset) -> str:
    return ", ".join(question.label for question in preset.questions)


def _free_slug(wanted: str) -> str:
    taken = set(Peer.objects.filter(slug__startswith=wanted).values_list("slug", flat=True))
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    return next(slug for slug in (wanted, *numbered) if slug not in taken)


def _introduction(preset: Preset) -> SafeString:
    text = gettext(
        "Open the console of %(vendor)s. This form asks only for what the console shows. The "
        "endpoints, the redirect URIs and the rest are known; you can change them later on the "
        "page of the peer. After you have saved, a page lists what to enter in the console."
    ) % {"vendor": preset.name}
    other = format_html('<a href="?">{}</a>', gettext("Choose another kind of site"))
    limits = format_html_join("", "<li>{}</li>", ((limit,) for limit in preset.limits))
    if limits:
        heading = gettext("What %(vendor)s cannot do") % {"vendor": preset.name}
        limits = format_html('<p>{}:</p><ul class="ro-limits">{}</ul>', heading, limits)
    return format_html("<p>{}</p>{}<p>{}</p>", text, limits, other)


def _offer_application_first() -> SafeString:
    text = gettext(
        "Some consoles show these values only after you have entered the values of this site. "
        "Then make the application first. The next page lists what to enter in the console, and "
        "leads back to this form."
    )
    button = format_html(
        '<button type="submit" class="button" name="{}">{}</button>',
        _APPLICATION_FIRST,
        gettext("Make the application first"),
    )
    return format_html('<p>{}</p><p class="ro-first">{}</p>', text, button)
