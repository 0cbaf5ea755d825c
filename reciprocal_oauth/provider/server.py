"""The site's oauthlib server class with the reciprocal grant registered."""

from typing import Any

from ..core import protocol
from ..dialects.ietf import IETFDialect
from ..party_b.grant_type import ReciprocalGrant


class ReciprocalServerMixin:
    """A mixin for the site's ``OAUTH2_SERVER_CLASS``, plain or OpenID Connect.

    Registers an extension grant (RFC 6749, section 4.5) at the token endpoint, as
    draft-ietf-oauth-reciprocal-04, section 2.2.2, asks for. :mod:`.composition` adds the mixin.
    """

    def __init__(self, request_validator: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request_validator, *args, **kwargs)  # type: ignore[call-arg]
        # A server without a token endpoint has no grant types.
        grant_types = getattr(self, "grant_types", None)
        if grant_types is not None:
            grant_types[protocol.GRANT_TYPE] = ReciprocalGrant(request_validator, IETFDialect())
