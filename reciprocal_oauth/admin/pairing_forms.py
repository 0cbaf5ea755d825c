"""The forms with which an administrator pairs this site with another one. The rules for the values
are in the package ``pairing``."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..client.discovery import Metadata
from ..conf import settings
from ..core import scopes, site_address
from ..exceptions import PairingError
from ..models import Pairing, Peer
from ..pairing.inviting import MAX_LIFETIME_SECONDS, Terms
from .peer_form import CODE_ATTRIBUTES
from .scope_fields import MAX_SCOPE_LENGTH, ScopesField, scope_choices, theirs

#: The lifetimes to choose from, in seconds.
_LIFETIMES = (3600, 24 * 3600, 3 * 24 * 3600, MAX_LIFETIME_SECONDS)
_LONG = {"class": "vLargeTextField", **CODE_ATTRIBUTES}
_NEW = "new"
FOR_SITE, FOR_ANYONE = "site", "anyone"


class WhoForm(forms.Form):
    """The first step of an invitation: for whom it is."""

    for_whom = forms.ChoiceField(
        label=_("The invitation is for"),
        choices=[
            (FOR_SITE, _("one site, at this address (recommended)")),
            (
                FOR_ANYONE,
                _("whoever has it: you see which site has used it, and confirm before it works"),
            ),
        ],
        widget=forms.RadioSelect,
        initial=FOR_SITE,
    )
    address = forms.CharField(
        label=_("Address of the other site"),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={**_LONG, "inputmode": "url", "autocomplete": "off"}),
        help_text=_("For example https://peer.example"),
    )
    renew = forms.CharField(widget=forms.HiddenInput, required=False)

    def clean(self) -> dict[str, Any]:
        """Require an address if the invitation is for one site."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        is_for_site = cleaned.get("for_whom") == FOR_SITE
        if is_for_site and "address" in cleaned and not cleaned["address"]:
            self.add_error("address", _("Enter the address of the other site."))
        return cleaned


class InvitationForm(forms.Form):
    """The first step of accepting an invitation: the text that the other site gave."""

    invitation = forms.CharField(
        label=_("Invitation"),
        widget=forms.Textarea(
            attrs={
                **_LONG,
                "rows": 3,
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
            }
        ),
        help_text=_(
            "The whole address that an administrator of the other site gave you. Nothing secret is "
            "sent to the other site before you have seen which site it is."
        ),
    )
    renew = forms.CharField(widget=forms.HiddenInput, required=False)


class TermsForm(forms.Form):
    """What an administrator decides about a pairing.

    :param metadata: the metadata of the other site; ``None`` if it is not known yet.
    :param renewable: the peers of this site that this pairing can renew.
    """

    peer = forms.ChoiceField(label=_("Peer"), widget=forms.RadioSelect)
    slug = forms.SlugField(
        label=_("Short name"),
        required=False,
        max_length=50,
        widget=forms.TextInput(attrs=CODE_ATTRIBUTES),
        help_text=_(
            "Part of the addresses of this site that are for the other site. It cannot be changed "
            "later."
        ),
    )
    our_name = forms.CharField(
        label=_("Name of this site"),
        validators=[MaxLengthValidator(200)],
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=_("How people at the other site know this site."),
    )
    asked_scope = ScopesField(label=_("What this site asks for there"), required=False)
    allowed_scope = ScopesField(
        label=_("What the other site may do here"),
        required=False,
        help_text=_("The most that it may do. People are asked at each connection."),
    )
    enable = forms.BooleanField(
        label=_("Let people connect as soon as both sites are registered"),
        required=False,
        help_text=_("Otherwise you enable the peer later, on its page."),
    )

    def __init__(
        self,
        *args: Any,
        metadata: Metadata | None = None,
        renewable: Sequence[Peer] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.metadata, self.renewable = metadata, {str(peer.pk): peer for peer in renewable}
        self._offer_peers()
        self.fields["allowed_scope"].choices = scope_choices(scopes.described())  # type: ignore[attr-defined]
        self.fields["our_name"].initial = _usual_name()
        if metadata is None:
            del self.fields["asked_scope"]
        elif choices := theirs(metadata):
            self.fields["asked_scope"].choices = choices  # type: ignore[attr-defined]
        else:
            # RFC 8414, section 2: a site need not list its scopes.
            self.fields["asked_scope"] = forms.CharField(
                label=self.fields["asked_scope"].label,
                required=False,
                max_length=MAX_SCOPE_LENGTH,
                widget=forms.TextInput(attrs=_LONG),
                help_text=_("The names of scopes, separated by spaces. The site lists none."),
            )

    def _offer_peers(self) -> None:
        peers = self.renewable
        if not peers:
            del self.fields["peer"]
            self.fields["slug"].required = True
        else:
            renewals = [
                (key, gettext("Renew %s: the connections of people stay") % peer)
                for key, peer in peers.items()
            ]
            field: Any = self.fields["peer"]
            field.choices = [*renewals, (_NEW, gettext("Add another peer, with the short name:"))]
            first = next(iter(peers.values()))
            field.initial = str(first.pk)
            self.fields["allowed_scope"].initial = scopes.split(first.allowed_scope)
            self.fields["asked_scope"].initial = scopes.split(first.scope)
            self.fields["enable"].initial = first.enabled
        self.fields["slug"].initial = proposed_slug(self.metadata.issuer) if self.metadata else ""

    @property
    def renewed(self) -> Peer | None:
        """Return the peer that the administrator has chosen to renew; ``None`` for a new peer."""
        return self.renewable.get(self.cleaned_data.get("peer", ""))

    def clean(self) -> dict[str, Any]:
        """Require a short name for a new peer."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        is_new = "peer" not in self.errors and self.renewed is None
        if is_new and "slug" in cleaned and not cleaned["slug"]:
            self.add_error("slug", _("Enter a short name for the new peer."))
        return cleaned

    def terms(self) -> Terms:
        """Return what the administrator has decided. Call it for a valid form."""
        values, peer = self.cleaned_data, self.renewed
        return Terms(
            slug=peer.slug if peer else values["slug"],
            allowed_scope=values["allowed_scope"],
            asked_scope=values.get("asked_scope", ""),
            our_name=values["our_name"].strip(),
            enable=values["enable"],
            renews=peer is not None,
        )

    def refuse(self, error: PairingError) -> None:
        """Show ``error`` beside the field that it is about."""
        self.add_error(error.field if error.field in self.fields else None, str(error))


class InviteForm(TermsForm):
    """The second step of an invitation."""

    lifetime = forms.TypedChoiceField(label=_("Valid for"), coerce=int)
    for_whom = forms.CharField(widget=forms.HiddenInput)
    address = forms.CharField(widget=forms.HiddenInput, required=False)
    renew = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        usual = settings.PAIRING_LIFETIME_SECONDS
        field: Any = self.fields["lifetime"]
        field.choices = [(each, _duration(each)) for each in sorted({*_LIFETIMES, usual})]
        field.initial = usual

    def chosen_lifetime(self) -> timedelta:
        """Return how long the invitation is valid. Call it for a valid form."""
        return timedelta(seconds=self.cleaned_data["lifetime"])


class AcceptForm(TermsForm):
    """The second step of accepting an invitation.

    ``sealed`` is the invitation itself, encrypted, so that it need not be kept in the session.
    """

    sealed = forms.CharField(widget=forms.HiddenInput)
    renew = forms.CharField(widget=forms.HiddenInput, required=False)


class ConfirmForm(forms.Form):
    """Confirms a pairing whose invitation was for whoever has it."""

    asked_scope = ScopesField(label=_("What this site asks for there"), required=False)

    def __init__(self, *args: Any, pairing: Pairing, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The metadata of the other site is not looked up here: before somebody has confirmed the
        # pairing, this site sends no request to an address that the other site claims.
        offered = scopes.split(pairing.offered_scope)
        words = Peer(slug=pairing.slug, scope_words=pairing.scope_words).described_scopes()
        field: Any = self.fields["asked_scope"]
        field.choices = scope_choices({each: words.get(each, "") for each in offered})
        asked = pairing.asked_scope
        if pairing.renews and not asked:
            peer = Peer.objects.filter(slug=pairing.slug).first()
            asked = peer.scope if peer else ""
        field.initial = scopes.split(asked)
        if not offered:
            field.help_text = _("The other site lets this site do nothing there.")


def proposed_slug(issuer: str) -> str:
    """Return a short name for the site with this issuer that no peer has: the first part of its
    host name that says something, such as ``music`` for ``www.music.example``."""
    host = site_address.host_of(issuer)
    parts = [part for part in host.split(".") if part not in ("www", "")]
    wanted = parts[0][:40] if parts and not _is_address(host) else "peer"
    pairings = Pairing.objects.filter(state__in=Pairing.UNDER_WAY)
    taken: set[str] = {"handover"}
    for rows in (Peer.objects.all(), pairings):
        taken.update(rows.filter(slug__startswith=wanted).values_list("slug", flat=True))
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    return next(slug for slug in (wanted, *numbered) if slug not in taken)


def _usual_name() -> str:
    """Return how this site called itself last; at first the host of its issuer."""
    last = Pairing.objects.exclude(our_name="").order_by("-created_at").first()
    return last.our_name if last else site_address.host_of(site_address.configured_issuer())


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _duration(seconds: int) -> str:
    if seconds % 86400 == 0:
        days = seconds // 86400
        return ngettext("%d day", "%d days", days) % days
    if seconds % 3600 == 0:
        hours = seconds // 3600
        return ngettext("%d hour", "%d hours", hours) % hours
    minutes = max(1, round(seconds / 60))
    return ngettext("%d minute", "%d minutes", minutes) % minutes
