"""The admin of attempts to connect: who started at this site to connect with a peer, what became of
it, and what an administrator can do. The rows are authorization requests (RFC 6749, section 4.1.1).
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from ..models import AuthorizationRequest, Peer
from ..party_a import attempts
from ..party_a.attempts import FAILED, Outcome
from ..presentation import attempt_remedies
from .read_only import ReadOnlyAdmin

#: The fields by which the address of the list can filter. The other fields belong to the protocol:
#: with filters, a user of the admin could find out their values letter by letter.
_LOOKUPS = ("outcome", "user", "peer", "created_at", "answered_at", "error", "link")
#: The page of a peer counts the failed attempts of this number of days.
_DAYS = 30


class OutcomeFilter(admin.SimpleListFilter):
    """Filters by what became of the attempt. Without a choice, the list shows the failed ones."""

    title = _("outcome")
    parameter_name = "outcome"
    _ALL = "all"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices after the first one, which is “failed”."""
        each = [(outcome, attempt_remedies.outcome_in_words(outcome)) for outcome in FAILED]
        others = [(each.value, each.label) for each in (Outcome.UNDER_WAY, Outcome.CONNECTED)]
        return [*each, *others, (self._ALL, _("All"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Return the choices. Django names the first one “All”, but it is the failed ones here."""
        first, *others = super().choices(changelist)
        yield {**first, "display": _("Failed")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with the chosen outcome."""
        if self.value() == self._ALL:
            return queryset
        return queryset.filter(outcome__in=[self.value()] if self.value() else FAILED)


@admin.register(AuthorizationRequest)
class AttemptAdmin(ReadOnlyAdmin):
    """The admin of attempts to connect. It shows nothing that belongs to the protocol, such as the
    hash of ``state``, the code verifier or the nonce."""

    list_display = ("created_at", "peer", "user", "what_became", "what_to_do")
    list_filter = (OutcomeFilter, "peer", "created_at")
    shown_with = ("peer", "user")
    to_user, to_peer = "user", "peer"
    ordering = ("-created_at",)
    fields = (
        "created_at",
        "answered_at",
        "peer",
        "user",
        "link",
        "what_became",
        "detail",
        "what_to_do",
        "redirect_uri",
    )
    readonly_fields = ("what_became", "what_to_do")

    class Media:
        """Adds the style sheet to the list and the page of attempts."""

        css: ClassVar = {"all": ["reciprocal_oauth/admin.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows with the additional attribute ``outcome``."""
        return attempts.with_outcome(super().get_queryset(request))

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Return whether the address of the list may contain the filter ``lookup``."""
        return lookup.partition("__")[0] in _LOOKUPS and super().lookup_allowed(
            lookup, value, request
        )

    @admin.display(description=_("outcome"))
    def what_became(self, visit: AuthorizationRequest) -> str:
        """Return what became of the attempt, with the error code of the peer."""
        words = attempt_remedies.outcome_in_words(attempt_remedies.outcome_of(visit))
        return f"{words} ({visit.error})" if visit.error else words

    @admin.display(description=_("what to do"))
    def what_to_do(self, visit: AuthorizationRequest) -> str:
        """Return what an administrator can do, or a dash."""
        return attempt_remedies.remedy(visit) or "–"


class PeerAttemptsMixin(admin.ModelAdmin):
    """Adds to the page of a peer how many attempts to connect have failed, with a link to them."""

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Render the page of a peer."""
        peer = kwargs.get("obj")
        if peer is not None and self._shows_attempts(request):
            context["failed_attempts"] = _failed_attempts(peer)
            context["failed_attempts_url"] = self._url_of_attempts(peer)
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    def _shows_attempts(self, request: HttpRequest) -> bool:
        may_view = request.user.has_perm("reciprocal_oauth.view_authorizationrequest")
        return may_view and self.admin_site.is_registered(AuthorizationRequest)

    def _url_of_attempts(self, peer: Peer) -> str:
        url = reverse(f"{self.admin_site.name}:reciprocal_oauth_authorizationrequest_changelist")
        return f"{url}?{urlencode({'peer__id__exact': peer.pk})}"


def _failed_attempts(peer: Peer) -> int:
    since = timezone.now() - timedelta(days=_DAYS)
    rows = AuthorizationRequest.objects.filter(peer=peer, created_at__gte=since)
    return attempts.with_outcome(rows).filter(outcome__in=FAILED).count()
