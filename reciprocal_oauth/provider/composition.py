"""Adds the mixins of this app to the validator class and the server class of the site.

The site names both classes in ``OAUTH2_PROVIDER``. DRF authentication, middleware and decorators
get the validator class from DOT's settings object. This module changes that object, so that it
returns the class with our mixin. So all three refuse the tokens of a disabled peer. The settings of
the site do not change.
"""

from functools import lru_cache, wraps
from typing import Any

from oauth2_provider.oauth2_validators import OAuth2Validator

from ..compat import oauth2_settings
from .server import ReciprocalServerMixin
from .token_use import token_is_usable
from .validator import ReciprocalValidatorMixin


@lru_cache(maxsize=32)
def composed_validator(base: type) -> type:
    """Return a subclass of ``base`` with our validator mixin. If ``base`` already has the mixin,
    return ``base`` itself."""
    if issubclass(base, ReciprocalValidatorMixin):
        return base
    return type(f"Reciprocal{base.__name__}", (ReciprocalValidatorMixin, base), {})


@lru_cache(maxsize=32)
def composed_server(base: type) -> type:
    """Return a subclass of ``base`` with the reciprocal grant. If ``base`` already has the grant,
    return ``base`` itself."""
    if issubclass(base, ReciprocalServerMixin):
        return base
    return type(f"Reciprocal{base.__name__}", (ReciprocalServerMixin, base), {})


class _ComposingSettings:
    """A mixin for the class of DOT's settings object. With it, the object returns the validator
    class to which :func:`composed_validator` has added our mixin."""

    def __getattr__(self, name: str) -> Any:
        return _composed(name, super().__getattr__(name))  # type: ignore[misc]

    def __setattr__(self, name: str, value: Any) -> None:
        # DOT stores each setting as an attribute when it is first read. Store only the class with
        # our mixin: otherwise another thread could read the site's class without it, and keep a
        # token endpoint that it has built with that class.
        super().__setattr__(name, _composed(name, value))


def _composed(name: str, value: Any) -> Any:
    return composed_validator(value) if name == "OAUTH2_VALIDATOR_CLASS" else value


def install() -> None:
    """Make DOT's settings object return the validator class with our mixin. Call this once, when
    Django starts."""
    settings_class = type(oauth2_settings)
    if issubclass(settings_class, _ComposingSettings):
        return
    _extend_stock_validator(OAuth2Validator)
    # Delete the values that DOT has already stored, because the validator class among them is
    # without our mixin.
    oauth2_settings.reload()
    oauth2_settings.__class__ = type(
        settings_class.__name__, (_ComposingSettings, settings_class), {}
    )


def _extend_stock_validator(stock: Any) -> None:
    """Change DOT's own validator class, so that it also refuses the tokens of disabled peers and
    inactive users. DOT's decorators, such as ``protected_resource``, always use DOT's own class and
    ignore the settings."""
    validate = stock.validate_bearer_token

    @wraps(validate)
    def validate_bearer_token(self: Any, token: str, scopes: Any, request: Any) -> bool:
        return validate(self, token, scopes, request) and token_is_usable(self, scopes, request)

    stock.validate_bearer_token = validate_bearer_token
