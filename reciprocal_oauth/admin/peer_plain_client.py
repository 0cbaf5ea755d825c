"""The admin page that adds a peer which has registered here by an invitation, but knows only
RFC 7591. The form asks for what is not known: the endpoints of the other site, and the registration
of this site there."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from ..core import site_address
from ..core.database import atomic
from ..exceptions import PairingError
from ..models import Pairing
from ..pairing import completion, plain_client
from .pairing_rights import may_pair
from .peer_new_form import NewPeerForm

#: What the other site has registered already, and the short name in the invitation.
_KNOWN = ("slug", "application", "authenticates_here_by", "jwks_uri")
_PARAMETER = "pairing"


class PlainClientForm(NewPeerForm):
    """The form to add a peer that has registered here already."""

    #: The pairing that waits for the endpoints of the peer.
    pairing: ClassVar[Pairing]

    def clean(self) -> Any:
        """Put into the peer what the other site has registered.

        :raises ValidationError: the pairing does not wait for endpoints any more.
        """
        cleaned = super().clean()
        try:
            with atomic():
                row = plain_client.lock(self.pairing)
        except PairingError as error:
            raise ValidationError(str(error)) from None
        self.instance.slug = row.slug
        for name, value in plain_client.fixed_values(row).items():
            setattr(self.instance, name, value)
        return cleaned


class PeerPlainClientMixin(admin.ModelAdmin):
    """Lets the page that adds a peer make the peer of a pairing. The parameter ``pairing`` in the
    URL names the pairing."""

    def waiting_pairing(self, request: HttpRequest) -> Pairing | None:
        """Return the pairing whose peer the page adds; ``None`` if there is none."""
        chosen = request.GET.get(_PARAMETER)
        if not chosen:
            return None
        found: Pairing | None = getattr(request, "reciprocal_waiting", None)
        if found is None:
            try:
                found = Pairing.objects.filter(pk=unquote(chosen)).first()
            except ValidationError:  # It is not a UUID.
                found = None
            if found is None or found.renews:
                raise Http404
            request.reciprocal_waiting = found  # type: ignore[attr-defined]
        return found

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Render the page that adds a peer, or save the new peer.

        :raises PermissionDenied: the user may not add peers and applications.
        :raises Http404: there is no such pairing.
        """
        buttons = {}
        if self.waiting_pairing(request) is not None:
            if not may_pair(request):
                raise PermissionDenied
            buttons = {"show_save_and_add_another": False}
        return super().add_view(request, form_url, {**buttons, **(extra_context or {})})

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any):  # type: ignore[no-untyped-def]
        """Return the form class. For the peer of a pairing, it sets what is known already."""
        pairing = self.waiting_pairing(request) if obj is None else None
        if pairing is not None:
            # The metaclass of forms collects the fields.
            attributes = {"pairing": pairing, "Meta": NewPeerForm.Meta}
            made: Any = type(PlainClientForm)("Form", (PlainClientForm,), attributes)  # type: ignore[misc]
            kwargs.setdefault("form", made)
        return super().get_form(request, obj, change=change, **kwargs)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields that the page fills in while the user types. The short name of the peer
        of a pairing is fixed."""
        if obj is None and self.waiting_pairing(request) is not None:
            return {}
        return super().get_prepopulated_fields(request, obj)

    def plain_client_fieldsets(self, pairing: Pairing, request: HttpRequest, all_sets: Any) -> Any:
        """Return the fieldsets of the form for the peer of ``pairing``.

        :param all_sets: the fieldsets of the form for any new peer.
        """
        base = site_address.base_url(request)
        callback = site_address.url_of("reciprocal_oauth:callback", pairing.slug, base=base)
        uris = format_html_join(
            ", ", '<code dir="ltr">{}</code>', ((u,) for u in pairing.redirect_uris)
        )
        text = format_html(
            gettext(
                "The other site is registered here already, with the client ID {} and the redirect "
                "URIs {}. Check that it is the right site. Register this site there: as a "
                "confidential client with the grant type authorization code and the redirect URI "
                "{}. Then enter here what the other site has issued."
            ),
            format_html('<code dir="ltr">{}</code>', pairing.issued_client_id),
            uris,
            format_html('<code dir="ltr">{}</code>', callback),
        )
        kept = [
            (title, {**options, "fields": [n for n in options["fields"] if n not in _KNOWN]})
            for title, options in all_sets
        ]
        kept = [(title, options) for title, options in kept if options["fields"]]
        return [(_("Before you begin"), {"fields": (), "description": text}), *kept]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return the first values of the form for a new peer."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        pairing = self.waiting_pairing(request)
        return initial if pairing is None else {**initial, **plain_client.first_values(pairing)}

    @sensitive_variables()
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the peer. For the peer of a pairing, save its application too, and complete the
        pairing. Django's page does this in one transaction."""
        pairing = None if change else self.waiting_pairing(request)
        if pairing is None:
            return super().save_model(request, obj, form, change)
        row = plain_client.lock(pairing)
        application = completion.application_of(row, obj)
        application.save()
        obj.application = application
        super().save_model(request, obj, form, change)
        plain_client.finish(row, obj, user=request.user)
        self.log_addition(request, application, [{"added": {}}])
        self.log_change(request, row, gettext("Completed with the endpoints of the other site."))
        return None
