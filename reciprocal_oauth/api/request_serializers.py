"""Serializers that check the request bodies, and the query of the list of links."""

from typing import Any

from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from ..models import Link
from ..party_a import app_starts, return_urls

#: The characters of a scope token (RFC 6749, section 3.3).
_SCOPE_CHARACTERS = r"[\x21\x23-\x5b\x5d-\x7e]+"


class Text(serializers.CharField):
    """A field for a JSON string that may contain only certain characters. The base class would also
    accept a number.

    :param characters: the regular expression that the whole string must match.
    """

    def __init__(self, characters: str, **kwargs: Any) -> None:
        check = RegexValidator(
            rf"^{characters}\Z", _("This contains characters that are not allowed.")
        )
        super().__init__(trim_whitespace=False, min_length=1, validators=[check], **kwargs)

    def to_internal_value(self, data: Any) -> str:
        """Return the value as a string.

        :raises ValidationError: the value is not a JSON string, or has the wrong characters or
            length.
        """
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class ConnectSerializer(serializers.Serializer):
    """The request that starts a connection."""

    return_to = Text(
        return_urls.URL_CHARACTERS,
        required=False,
        max_length=return_urls.MAX_LENGTH,
        help_text=_(
            "Where the browser is redirected afterwards: a URL that API_RETURN_TO allows. Without "
            "it, the browser goes to a page of this site."
        ),
    )


class StartSerializer(ConnectSerializer):
    """The request of an app for a URL that begins a connection in the browser of the system."""

    return_to = Text(
        return_urls.URL_CHARACTERS,
        required=False,
        max_length=return_urls.MAX_LENGTH,
        help_text=_(
            "Where the person returns to afterwards: a URL of the app that API_RETURN_TO allows. "
            "Without it, the browser stays on a page of this site."
        ),
    )
    state = Text(
        r"[\x20-\x7e]+",
        required=False,
        max_length=app_starts.MAX_STATE_LENGTH,
        help_text=_(
            "A text that the app gets back with the person, so that it recognizes its own start. "
            "Choose a new random text each time."
        ),
    )


class Shown(Text):
    """A field for the value ``shown``, which identifies what the person saw. The API sends this
    value with each link and each consent question. The client sends it back when the person answers
    the question or changes the scopes, so that this site can refuse an outdated decision."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(r"[0-9a-f]*", max_length=64, **kwargs)


class AnswerSerializer(serializers.Serializer):
    """The answer of the person to the question which scopes the peer may have at this site."""

    scopes = serializers.ListField(
        child=Text(_SCOPE_CHARACTERS, max_length=255),
        max_length=100,
        help_text=_(
            "The scopes that the person allows, out of those in the question. An empty list "
            "refuses."
        ),
    )
    shown = Shown(
        help_text=_(
            "The value of “shown” in the question that the person answered. If the question has "
            "changed since, nothing is allowed (409, changed). A refusal is always accepted."
        ),
    )


class ScopesSerializer(serializers.Serializer):
    """The request that replaces the scopes that the peer has at this site."""

    scopes = serializers.ListField(
        child=Text(_SCOPE_CHARACTERS, max_length=255),
        min_length=1,
        max_length=100,
        help_text=_("All scopes that the peer has here from now on, out of the choices."),
    )
    shown = Shown(
        help_text=_(
            "The value of “shown” in the link that the person saw. If the link has changed since, "
            "nothing is changed (409, changed): an old page must not allow again what was taken "
            "back elsewhere."
        ),
    )


class FilterSerializer(serializers.Serializer):
    """The parameters in the query of the list of links."""

    status = serializers.ChoiceField(Link.Status.choices, default=Link.Status.ACTIVE)
