"""Serializers for API responses about links. No response contains a token, a code or a secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import ISO_8601, serializers
from rest_framework.reverse import reverse

from ..core import scopes
from ..models import Link, Party, Step
from ..models.reasons import Reason
from ..party_a import consent, scope_changes
from ..presentation import flow_diagram
from ..presentation.link_status import (
    Direction,
    LinkStatus,
)
from ..presentation.next_step import NextStep
from ..presentation.permissions import Permission, in_scope_words, in_words_of_peer
from .peer_serializers import PeerSerializer

_STEP_STATES = (
    flow_diagram.DONE,
    flow_diagram.RUNNING,
    flow_diagram.HELD,
    flow_diagram.FAILED,
    flow_diagram.REFUSED,
    flow_diagram.AHEAD,
)
_PENDING = [(state.value, state.label) for state in (Link.Incoming.GRANTED, Link.Incoming.BROKEN)]
_NEXT_STEPS = [next_step.value for next_step in NextStep if next_step]
#: The state in which the peer will never give this site access. The database stores "waiting".
_NO_OUTGOING = ("none", _("none: this kind of peer gives no access"))
_REASONS = [(value, label) for value, label in Reason.choices if value]


class Moment(serializers.DateTimeField):
    """A field for a time. The response always contains the time in the ISO 8601 format, even if the
    site has set another ``DATETIME_FORMAT`` for Django REST framework."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format=ISO_8601, **kwargs)


class AccountSerializer(serializers.Serializer):
    """The account at the peer that the person has linked."""

    id = serializers.CharField(help_text=_("The ID of the account at the peer."))
    name = serializers.CharField(
        help_text=_("The name of the account at the peer. It can be empty.")
    )


class ScopeSerializer(serializers.Serializer):
    """A scope with its description."""

    name = serializers.CharField()
    description = serializers.CharField(
        help_text=_(
            "What the scope allows, in words. If nobody has described it, the text says which site "
            "gave the scope its name."
        )
    )


class DirectionSerializer(serializers.Serializer):
    """One direction of a link: the access of this site at the peer, or of the peer at this site."""

    state: Any
    reason = serializers.ChoiceField(_REASONS, allow_null=True)
    text = serializers.CharField(help_text=_("The state in words."))
    explanation = serializers.CharField(help_text=_("The reason in words; may be empty."))
    advice = serializers.CharField(help_text=_("What the person can do; may be empty."))
    scopes = ScopeSerializer(many=True)


class PendingSerializer(DirectionSerializer):
    """The person's last decision, if this decision has not given the peer access yet."""

    state = serializers.ChoiceField(_PENDING)


class IncomingSerializer(DirectionSerializer):
    """What the peer may do at this site at the moment."""

    state = serializers.ChoiceField(Link.Incoming.choices)
    pending = PendingSerializer(
        allow_null=True,
        help_text=_(
            "The last decision of the person, if it has not given the peer access yet. It is "
            "pending (granted) or has failed (broken). The scopes are those that the decision adds."
        ),
    )


class OutgoingSerializer(DirectionSerializer):
    """What this site may do at the peer at the moment."""

    state = serializers.ChoiceField([_NO_OUTGOING, *Link.Outgoing.choices])


class QuestionSerializer(serializers.Serializer):
    """The question to the person: may the peer have these scopes at this site?"""

    scopes = ScopeSerializer(many=True)
    page = serializers.URLField(
        help_text=_("The page of this site on which the person can answer.")
    )
    shown = serializers.CharField(
        help_text=_("Send this value back with the answer. It identifies the question.")
    )


class LinkSerializer(serializers.Serializer):
    """One link: the connection between the person's accounts at this site and at the peer."""

    id = serializers.UUIDField(source="link.id")
    url = serializers.URLField()
    peer = PeerSerializer(source="link.peer")
    account = AccountSerializer(
        allow_null=True, help_text=_("The account at the peer, if it is known.")
    )
    status = serializers.ChoiceField(Link.Status.choices, source="link.status")
    is_two_way = serializers.BooleanField(
        source="link_status.works_both_ways", help_text=_("Whether both directions work.")
    )
    text = serializers.CharField(help_text=_("The state of the link, in words."))
    next_step = serializers.ChoiceField(
        _NEXT_STEPS,
        allow_null=True,
        help_text=_(
            "What the person can do next: finish (answer the question), again (try again), connect "
            "(connect again), visit (continue at the peer) or remove (remove the link, then "
            "connect again)."
        ),
    )
    incoming = IncomingSerializer(help_text=_("What the peer may do at this site."))
    outgoing = OutgoingSerializer(help_text=_("What this site may do at the peer."))
    question = QuestionSerializer(
        allow_null=True, help_text=_("The question that the person has not answered yet.")
    )
    choices = ScopeSerializer(
        many=True,
        help_text=_("The scopes that the person can allow. Empty if nothing can be changed."),
    )
    shown = serializers.CharField(
        help_text=_("Send this value back with a change. It identifies what the person saw.")
    )
    created_at = Moment(source="link.created_at")
    linked_at = Moment(
        source="link.linked_at", allow_null=True, help_text=_("Since when both directions work.")
    )
    last_used_at = Moment(
        source="link.last_used_at",
        allow_null=True,
        help_text=_("When the peer last used its access here, to the hour."),
    )
    ended_at = Moment(source="link.ended_at", allow_null=True)

    def to_representation(self, link: Link) -> Any:
        """Return the link as a dict of JSON values. A :class:`ShownLink` provides the values."""
        return super().to_representation(ShownLink(link, self.context["request"]))


class StepSerializer(serializers.Serializer):
    """One step of the protocol. The letter of the step comes from the figure in
    draft-ietf-oauth-reciprocal-04, section 2."""

    step = serializers.ChoiceField([(value, label) for value, label in Step.choices if value])
    state = serializers.ChoiceField(_STEP_STATES)
    at = Moment(allow_null=True)
    text = serializers.CharField()
    explanation = serializers.CharField(help_text=_("What went wrong; may be empty."))


class FlowSerializer(serializers.Serializer):
    """The newest run through the steps of the protocol, with the state of each step."""

    party = serializers.ChoiceField(
        Party.choices, help_text=_("The role of this site in the protocol.")
    )
    is_change = serializers.BooleanField(
        help_text=_("Whether this is a later change, while the peer has its earlier access.")
    )
    is_under_way = serializers.BooleanField(
        help_text=_("Whether more steps follow without an action of the person.")
    )
    steps = StepSerializer(many=True)


class LinkDetailSerializer(LinkSerializer):
    """One link, with the steps of the newest run through the protocol."""

    flow = FlowSerializer(allow_null=True)


@dataclass(frozen=True)
class ShownLink:
    """The object from which :class:`LinkSerializer` and :class:`LinkDetailSerializer` read their
    values. It adds to ``link`` the values that are not fields of the model."""

    link: Link
    request: Any

    @cached_property
    def link_status(self) -> LinkStatus:
        """Return the status of the link in words."""
        return LinkStatus(self.link)

    @property
    def url(self) -> str:
        """Return the URL of the link in this API."""
        return reverse("reciprocal_oauth_api:link", args=[self.link.pk], request=self.request)

    @property
    def account(self) -> Mapping[str, str] | None:
        """Return the ID and name of the account at the peer, or ``None`` if both are unknown."""
        if not self.link.subject and not self.link.account_name:
            return None
        return {"id": self.link.subject, "name": self.link.account_name}

    @property
    def text(self) -> str:
        """Return the state of the whole link in words."""
        return self.link_status.state

    @property
    def next_step(self) -> str | None:
        """Return what the person can do next, or ``None`` if there is nothing to do."""
        return self.link_status.next_step or None

    @property
    def incoming(self) -> Mapping[str, Any]:
        """Return what the peer may do at this site now. If the person's last decision has not given
        the peer access yet, the value of ``pending`` describes this decision."""
        works = bool(self.link_status.in_force)
        state, reason = self.link.incoming_state, self.link.incoming_reason or None
        return {
            "state": Link.Incoming.ACTIVE if works else state,
            "reason": None if works else reason,
            **_said(self.link_status.incoming),
            "scopes": _described(in_scope_words(self.link_status.in_force, scopes.described())),
            "pending": self._pending,
        }

    @property
    def _pending(self) -> Mapping[str, Any] | None:
        link = self.link
        if link.incoming_state not in dict(_PENDING) or link.has_lost_incoming_access:
            return None
        added = self.link_status.added_scope
        return {
            "state": link.incoming_state,
            "reason": link.incoming_reason or None,
            **_said(self.link_status.incoming.pending or self.link_status.incoming),
            "scopes": _described(in_scope_words(added, scopes.described())),
        }

    @property
    def outgoing(self) -> Mapping[str, Any]:
        """Return what this site may do at the peer. The scope ``openid`` is left out."""
        has_ended = self.link.outgoing_state == Link.Outgoing.ENDED
        may = "" if has_ended else scopes.without_openid(self.link.outgoing_scope)
        waits = self.link.outgoing_state == Link.Outgoing.WAITING
        return {
            "state": (
                _NO_OUTGOING[0]
                if waits and not self.link.peer.sends_codes
                else self.link.outgoing_state
            ),
            "reason": self.link.outgoing_reason or None,
            **_said(self.link_status.outgoing),
            "scopes": _described(in_words_of_peer(may, self.link.peer)),
        }

    @property
    def question(self) -> Mapping[str, Any] | None:
        """Return the consent question, or ``None`` if the person cannot answer it now."""
        if not self.link_status.can_answer:
            return None
        page = reverse("reciprocal_oauth:consent", args=[self.link.pk], request=self.request)
        return {
            "scopes": _named(consent.choices(self.link)),
            "page": page,
            "shown": consent.snapshot_of(self.link),
        }

    @property
    def choices(self) -> list[Mapping[str, str]]:
        """Return the scopes that the person can allow when changing the scopes of the peer, or an
        empty list if the scopes of the peer cannot be changed now."""
        return (
            _named(scope_changes.choices(self.link)) if scope_changes.can_change(self.link) else []
        )

    @property
    def shown(self) -> str:
        """Return a text that identifies what the person sees. A request that changes the scopes
        must contain this text. If the text is no longer the current one, the request is refused."""
        return scope_changes.snapshot_of(self.link)

    @property
    def flow(self) -> flow_diagram.Diagram | None:
        """Return the steps of the newest flow (one run through the steps of the protocol), or
        ``None`` if no step is recorded."""
        return flow_diagram.of_link(self.link, technical=False)


def _said(direction: Direction) -> Mapping[str, str]:
    return {
        "text": direction.state,
        "explanation": direction.reason,
        "advice": direction.advice,
    }


def _described(permissions: list[Permission]) -> list[Mapping[str, str]]:
    return _named([(permission.name, permission.text) for permission in permissions])


def _named(choices: list[tuple[str, str]]) -> list[Mapping[str, str]]:
    return [{"name": name, "description": description} for name, description in choices]
