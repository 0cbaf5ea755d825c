"""A mixin that adds the reciprocal grant to the site's oauthlib server class."""

from typing import Any

from ..core import protocol
from ..party_b.grant_type import ReciprocalGrant


class ReciprocalServerMixin:
    """A mixin for the site's ``OAUTH2_SERVER_CLASS``, with or without OpenID Connect.

    It adds the reciprocal grant, an extension grant (RFC 6749, section 4.5), to the token endpoint,
    as draft-ietf-oauth-reciprocal-04, section 2.2.2, requires. :mod:`.composition` adds the mixin.
    """

    def __init__(self, request_validator: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request_validator, *args, **kwargs)  # type: ignore[call-arg]
        # A server class without a token endpoint has no attribute grant_types. In this case, there
        # is no endpoint to which the grant could be added.
        grant_types = getattr(self, "grant_types", None)
        if grant_types is not None:
            grant_types[protocol.GRANT_TYPE] = ReciprocalGrant(request_validator)
