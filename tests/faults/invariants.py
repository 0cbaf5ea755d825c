"""What must hold of the database of one site when all is quiet, whatever happened before.

Each invariant is a method that gives the rows which break it, in words; none: it holds. They are
written against any database alias, so that a test can break a database and see them notice.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_grant_model,
    get_refresh_token_model,
)

from reciprocal_oauth.core import scopes
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer, QueueItem, ReciprocalCode

State = QueueItem.State
#: How the Grant of a reciprocal code names it.
CODE_URI = "urn:uuid:"


@dataclass(frozen=True)
class OneSite:
    """A site, as its database tells.

    :ivar using: the alias of its database.
    :ivar all_scopes: what the site has.
    :ivar attempts: how many attempts a hand-over, and a redemption, may take.
    :ivar logins: families of tokens that peers got by a login in a browser, not by a code of ours.
    """

    using: str
    all_scopes: Collection[str]
    attempts: Mapping[type[QueueItem], int]
    lease_seconds: float
    logins: Collection[UUID] = ()

    def check(self) -> dict[str, list[str]]:
        """What breaks each invariant."""
        checks: dict[str, Callable[[], Iterable[str]]] = {
            "I1": self.nothing_is_lost,
            "I2": self.one_family_for_each_link,
            "I3": self.no_token_without_a_code,
            "I4": self.one_live_code_for_each_link,
            "I5": self.nothing_is_kept_twice,
            "I6": self.what_was_cut_is_dead,
            "I7": self.owners_agree,
            "I8": self.nothing_is_stuck,
            "I10": self.no_token_is_wider_than_its_link,
        }
        return {name: list(check()) for name, check in checks.items()}

    def nothing_is_lost(self) -> Iterator[str]:
        """A decision has reached the peer, or there is a row that says what became of it."""
        undone = Q(confirmed_generation__lt=F("generation"))
        undone |= Q(incoming_state=Link.Incoming.GRANTED)
        rows = self._rows(OutboxItem).filter(
            kind=OutboxItem.Kind.HANDOVER, state__in=(*QueueItem.LIVE_STATES, State.FAILED)
        )
        lost = self._links().filter(undone, status=Link.Status.ACTIVE)
        for pk in lost.exclude(pk__in=rows.values("link")).values_list("pk", flat=True):
            yield f"link {pk}: its last decision has not arrived, and nothing is under way"

    def one_family_for_each_link(self) -> Iterator[str]:
        codes = self._rows(ReciprocalCode).filter(
            token_family__in=self._live_refresh_tokens().values("token_family")
        )
        families = codes.values("link").annotate(n=Count("token_family", distinct=True))
        for row in families.filter(n__gt=1).order_by():
            yield f"link {row['link']}: {row['n']} families of tokens are alive"

    def no_token_without_a_code(self) -> Iterator[str]:
        codes = self._rows(ReciprocalCode).filter(token_family__isnull=False)
        known = set(codes.values_list("token_family", flat=True)) | set(self.logins)
        for pk, family in self._live_refresh_tokens().values_list("pk", "token_family"):
            if family not in known:
                yield f"refresh token {pk}: no code was redeemed for it"

    def one_live_code_for_each_link(self) -> Iterator[str]:
        live = self._rows(ReciprocalCode).filter(state=ReciprocalCode.State.LIVE)
        for row in live.values("link").annotate(n=Count("pk")).filter(n__gt=1).order_by():
            yield f"link {row['link']}: {row['n']} codes are alive"
        grants = self._rows(get_grant_model()).filter(redirect_uri__startswith=CODE_URI)
        with_grant = Counter(grants.values_list("redirect_uri", flat=True))
        with_code = Counter(f"{CODE_URI}{pk}" for pk in live.values_list("pk", flat=True))
        for uri in (with_code - with_grant).elements():
            yield f"code {uri}: is alive, and has no Grant"
        for uri in (with_grant - with_code).elements():
            yield f"Grant {uri}: is of no live code"

    def nothing_is_kept_twice(self) -> Iterator[str]:
        active = self._links().filter(status=Link.Status.ACTIVE)
        for row in active.values("user", "peer").annotate(n=Count("pk")).filter(n__gt=1).order_by():
            yield f"user {row['user']}: {row['n']} links with one account"
        codes = self._rows(InboxItem).values("peer", "code_hash").annotate(n=Count("pk"))
        for row in codes.filter(n__gt=1).order_by():
            yield f"code {row['code_hash'][:8]}…: {row['n']} rows in the inbox"

    def what_was_cut_is_dead(self) -> Iterator[str]:
        ended = self._links().exclude(status=Link.Status.ACTIVE)
        for name, alive in {
            "a code": self._rows(ReciprocalCode).filter(state=ReciprocalCode.State.LIVE),
            "a hand-over": self._rows(OutboxItem).filter(
                kind=OutboxItem.Kind.HANDOVER, state__in=QueueItem.LIVE_STATES
            ),
            "a redemption": self._rows(InboxItem).filter(state__in=QueueItem.LIVE_STATES),
            "a token": self._rows(ReciprocalCode).filter(
                token_family__in=self._live_refresh_tokens().values("token_family")
            ),
        }.items():
            for pk in ended.filter(pk__in=alive.values("link")).values_list("pk", flat=True):
                yield f"link {pk}: has ended, and {name} of it lives"
        for link in ended.iterator():
            if link.access_token or link.refresh_token:
                yield f"link {link.pk}: has ended, and keeps a token"

    def owners_agree(self) -> Iterator[str]:
        codes = self._rows(ReciprocalCode).filter(token_family__isnull=False)
        owners = {
            family: owner
            for family, *owner in codes.values_list(
                "token_family", "link__user_id", "link__peer__application_id"
            )
        }
        tokens = self._live_refresh_tokens()
        for pk, family, *owner in tokens.values_list(
            "pk", "token_family", "user_id", "application_id"
        ):
            if family in owners and owners[family] != owner:
                yield f"refresh token {pk}: belongs to {owner}, its link to {owners[family]}"

    def nothing_is_stuck(self) -> Iterator[str]:
        overdue = timezone.now() - timedelta(seconds=2 * self.lease_seconds)
        for model, limit in self.attempts.items():
            for why, stuck in {
                "its lease ran out long ago": Q(state=State.CLAIMED, lease_until__lt=overdue),
                "has a lease without being worked on": ~Q(state=State.CLAIMED)
                & Q(lease_owner__isnull=False),
                f"more than {limit} attempts": Q(attempts__gt=limit),
            }.items():
                for pk in self._rows(model).filter(stuck).values_list("pk", flat=True):
                    yield f"{model._meta.verbose_name} {pk}: {why}"

    def no_token_is_wider_than_its_link(self) -> Iterator[str]:
        allowed: dict[Any, list[set[str]]] = {}
        for link in self._links().filter(status=Link.Status.ACTIVE).select_related("peer"):
            scope, limit = _set(link.incoming_scope), _set(link.peer.allowed_scope)
            allowed.setdefault((link.user_id, link.peer.application_id), []).append(scope)
            if not scope <= limit:
                yield f"link {link.pk}: allows {sorted(scope - limit)}, which its peer may not hold"
            if not limit <= set(self.all_scopes):
                yield f"peer {link.peer.slug}: may hold what the site does not have"
        tokens = self._rows(get_access_token_model()).filter(
            application__in=self._applications(), expires__gt=timezone.now()
        )
        for pk, scope, *owner in tokens.values_list("pk", "scope", "user_id", "application_id"):
            if not any(_set(scope) <= granted for granted in allowed.get(tuple(owner), ())):
                yield f"access token {pk}: carries “{scope}”, which no link allows"

    def _rows(self, model: Any) -> QuerySet[Any]:
        return model._default_manager.using(self.using)

    def _links(self) -> QuerySet[Link]:
        return self._rows(Link).order_by("pk")

    def _applications(self) -> QuerySet[Any, Any]:
        return self._rows(Peer).values("application")

    def _live_refresh_tokens(self) -> QuerySet[Any]:
        return self._rows(get_refresh_token_model()).filter(
            application__in=self._applications(), revoked__isnull=True
        )


def _set(scope: str) -> set[str]:
    return set(scopes.split(scope))
