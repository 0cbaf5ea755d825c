"""The switches of a dialect: how a party B differs from the draft."""

import json
from dataclasses import dataclass
from typing import Final

from .errors import UsageError
from .json_templates import placeholders

#: What a template can contain, by the name of the switch.
PLACEHOLDERS: Final[dict[str, tuple[str, ...]]] = {
    "body": (
        "code",
        "access_token",
        "client_id",
        "client_secret",
        "subject_client_id",
        "token_endpoint",
        "api",
        "id",
    ),
    "token_response": ("access_token", "refresh_token", "expires_in", "scope"),
    "token_refusal": (),
}
_CHOICES: Final = {"token_in": ("body", "bearer"), "redemption": ("form", "json")}


@dataclass(frozen=True)
class Dialect:
    """How the subject differs from the draft. A run with a dialect says nothing about the draft.

    :ivar name: for the reports. Empty: the draft.
    :ivar grant_type: another value of ``grant_type``.
    :ivar token_in: ``body``, or ``bearer``: the access token is in the header Authorization, and
        the client's secret is in the body.
    :ivar body: a JSON template of the hand-over, in place of the form. ``{client_id}`` is the
        tester's ID at the subject, ``{subject_client_id}`` the subject's ID at the tester,
        ``{token_endpoint}`` and ``{api}`` are addresses of the tester, ``{id}`` is a new UUID.
    :ivar authenticates: whether the hand-over carries the client's credentials: in the header, or
        as ``{client_secret}`` in the body.
    :ivar refused_by: a text in the body of a response with status 200 that means a refusal.
    :ivar failure_status: a status beside 4xx with which party B says that it could not redeem the
        code. 0: there is none.
    :ivar redeems_first: party B redeems the code before it answers the hand-over, so that status
        200 means that the code is redeemed.
    :ivar redemption: ``form``, or ``json``: party B redeems with a JSON body that has the code at
        any place. It refreshes with a JSON body that has the refresh token.
    :ivar token_response: a JSON template in place of the standard token response.
    :ivar token_refusal: the JSON with which the tester refuses a code or a refresh token, in place
        of the standard one.
    :ivar revocation: whether the party that the tester plays has a revocation endpoint.
    """

    name: str = ""
    grant_type: str = ""
    token_in: str = "body"  # noqa: S105
    body: str = ""
    authenticates: bool = True
    refused_by: str = ""
    failure_status: int = 0
    redeems_first: bool = False
    redemption: str = "form"
    token_response: str = ""
    token_refusal: str = ""
    revocation: bool = True

    @property
    def is_bearer(self) -> bool:
        """Whether the access token is in the header Authorization."""
        return self.token_in == "bearer"  # noqa: S105

    @property
    def has_secret_in_body(self) -> bool:
        """Whether the client can authenticate in the body only."""
        return self.authenticates and (self.is_bearer or self.sends("client_secret"))

    def sends(self, name: str) -> bool:
        """Whether the JSON body of the hand-over has a placeholder."""
        return bool(self.body) and name in placeholders(self.body)

    def require_valid(self) -> None:
        """:raises UsageError: a switch has a value that it cannot have."""
        for switch, allowed in _CHOICES.items():
            if getattr(self, switch) not in allowed:
                raise UsageError(f'dialect.{switch} is "{allowed[0]}" or "{allowed[1]}".')
        for switch, known in PLACEHOLDERS.items():
            template = getattr(self, switch)
            if template:
                _require_template(f"dialect.{switch}", template, known)
        if self.failure_status and not 500 <= self.failure_status <= 599:
            raise UsageError("dialect.failure_status is a status from 500 to 599.")
        if self.body and self.grant_type:
            raise UsageError("dialect.grant_type is for a form. Write it into dialect.body.")


def _require_template(where: str, template: str, known: tuple[str, ...]) -> None:
    try:
        names, value = placeholders(template), json.loads(template)
    except (ValueError, RecursionError) as error:
        hint = ' A placeholder is in quotes: "{code}", "{expires_in}".'
        raise UsageError(f"{where} is not JSON: {error}.{hint}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{where} is a JSON object.")
    unknown = sorted(names - set(known))
    if unknown:
        listed = ", ".join(f"{{{name}}}" for name in known) or "none"
        raise UsageError(f"{where}: {{{unknown[0]}}} is not known. Known are {listed}.")
    needed = {"dialect.body": "code", "dialect.token_response": "access_token"}.get(where)
    if needed and needed not in names:
        raise UsageError(f"{where} has no {{{needed}}}.")
