"""Values of a peer that follow from its fields and its dialect."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from ..core import plugins, scopes
from ..core.protocol import OWN_AUTHORIZATION_PARAMETERS
from . import peer_validation


class DerivedValues:
    """The part of the model ``Peer`` that stores nothing."""

    allowed_scope: str
    application: Any
    authorization_parameters: str
    dialect: str
    dialect_options: str
    client_id: str
    reciprocal_endpoint: str
    token_endpoint: str
    reverse_refused_at: datetime | None

    @property
    def handover_endpoint(self) -> str:
        """Return the URL to which this site sends reciprocal codes. It is the reciprocal endpoint
        of the peer if it is set; otherwise it is the token endpoint
        (draft-ietf-oauth-reciprocal-04, section 2.2.2)."""
        return self.reciprocal_endpoint or self.token_endpoint

    @property
    def supports_reverse(self) -> bool:
        """Return whether the peer accepts reciprocal codes, as far as this site knows. If the
        dialect of the peer can send codes, the value is ``True`` until the peer says that it does
        not support them."""
        dialect = self._dialect_class
        return self.reverse_refused_at is None and dialect is not None and dialect.takes_codes(self)

    @property
    def can_start(self) -> bool:
        """Return whether people can start at this site to connect with the peer."""
        dialect = self._dialect_class
        return dialect is not None and dialect.can_start(self)

    @property
    def sends_codes(self) -> bool:
        """Return whether the peer sends reciprocal codes to this site, as far as its dialect and
        its settings tell. Without them, links with this peer never get outgoing access, unless the
        user starts at this site."""
        dialect = self._dialect_class
        return dialect is None or (dialect.sends_codes and bool(self.client_id))

    @property
    def sends_code_challenge(self) -> bool:
        """Return whether the peer, as a client of this site, sends a code challenge (RFC 7636,
        section 4.3)."""
        dialect = self._dialect_class
        return dialect is None or dialect.sends_code_challenge

    @property
    def _dialect_class(self) -> Any:
        """The class of the dialect; ``None`` if there is none with this name. In this case, the
        checks of the peer report the unknown name."""
        try:
            return plugins.dialect_class(self.dialect)
        except ImproperlyConfigured:
            return None

    @property
    def options(self) -> dict[str, str]:
        """Return the options of the dialect, by name."""
        return peer_validation.parameters_in(self.dialect_options)

    @property
    def extra_parameters(self) -> dict[str, str]:
        """Return the extra parameters of authorization requests, by name (RFC 6749, section 3.1).
        Parameters that this site sets itself are left out."""
        found = peer_validation.parameters_in(self.authorization_parameters)
        return {k: v for k, v in found.items() if k not in OWN_AUTHORIZATION_PARAMETERS}

    @property
    def reciprocal_limit(self) -> str:
        """Return the largest scope that this peer can get with a reciprocal code now. It never
        contains ``openid``."""
        return scopes.without_openid(self.limit)

    @property
    def limit(self) -> str:
        """Return the largest scope that a token of this peer may have now. A scope is included if
        all of this is true: the administrator allows it for the peer, this site defines it, and the
        scopes backend of DOT offers it to the application of the peer."""
        return scopes.cut(
            self.allowed_scope, scopes.described(), scopes.available(self.application)
        )
