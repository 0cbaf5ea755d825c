"""Adds our mixins to the validator and server classes that the site's ``OAUTH2_PROVIDER`` names.

DRF authentication, middleware and decorators take the validator class from DOT's settings object.
So that they too refuse the tokens of a disabled peer, the settings object returns the class with
our mixin. The site's own settings stay as they are.
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
    """A subclass of ``base`` with our validator mixin; ``base`` itself if it already has that."""
    if issubclass(base, ReciprocalValidatorMixin):
        return base
    return type(f"Reciprocal{base.__name__}", (ReciprocalValidatorMixin, base), {})


@lru_cache(maxsize=32)
def composed_server(base: type) -> type:
    """A subclass of ``base`` with the reciprocal grant; ``base`` itself if it already has that."""
    if issubclass(base, ReciprocalServerMixin):
        return base
    return type(f"Reciprocal{base.__name__}", (ReciprocalServerMixin, base), {})


class _ComposingSettings:
    """A mixin for the class of DOT's settings object: returns the composed validator class."""

    def __getattr__(self, name: str) -> Any:
        return _composed(name, super().__getattr__(name))  # type: ignore[misc]

    def __setattr__(self, name: str, value: Any) -> None:
        # DOT caches each setting as an attribute. If the site's own class were cached even for a
        # moment, another thread could build its token endpoint with it and keep that endpoint.
        super().__setattr__(name, _composed(name, value))


def _composed(name: str, value: Any) -> Any:
    return composed_validator(value) if name == "OAUTH2_VALIDATOR_CLASS" else value


def install() -> None:
    """Make DOT's settings object return the composed validator class. Called once, at start."""
    settings_class = type(oauth2_settings)
    if issubclass(settings_class, _ComposingSettings):
        return
    _extend_stock_validator(OAuth2Validator)
    # Drop the values that DOT has already cached.
    oauth2_settings.reload()
    oauth2_settings.__class__ = type(
        settings_class.__name__, (_ComposingSettings, settings_class), {}
    )


def _extend_stock_validator(stock: Any) -> None:
    """Make DOT's own class refuse the tokens of disabled peers and inactive users too: DOT's
    decorators, such as ``protected_resource``, use that class whatever the settings say."""
    validate = stock.validate_bearer_token

    @wraps(validate)
    def validate_bearer_token(self: Any, token: str, scopes: Any, request: Any) -> bool:
        return validate(self, token, scopes, request) and token_is_usable(self, scopes, request)

    stock.validate_bearer_token = validate_bearer_token
