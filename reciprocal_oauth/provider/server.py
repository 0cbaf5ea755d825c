"""The site's oauthlib server class with the reciprocal grant registered."""

from typing import Any

from ..core import protocol
from ..dialects.ietf import IETFDialect
from ..party_b.grant_type import ReciprocalGrant


class ReciprocalServerMixin:
    """Composed with the site's ``OAUTH2_SERVER_CLASS`` (plain or OpenID) by :mod:`.composition`."""

    def __init__(self, request_validator: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request_validator, *args, **kwargs)  # type: ignore[call-arg]
        # A server without token endpoint has no table of grant types to add to.
        grant_types = getattr(self, "grant_types", None)
        if grant_types is not None:
            grant_types[protocol.GRANT_TYPE] = ReciprocalGrant(request_validator, IETFDialect())
