"""Composing with the validator and server classes that the site's ``OAUTH2_PROVIDER`` names.

Resource checks (DRF, middleware, decorators) take the validator class from DOT's settings object,
not from a view. So that a disabled peer's token is refused there too, the settings object itself
answers with the composed class; a site keeps naming its own and changes nothing.
"""

from functools import lru_cache, wraps
from typing import Any

from oauth2_provider.oauth2_validators import OAuth2Validator

from ..compat import oauth2_settings
from .server import ReciprocalServerMixin
from .validator import ReciprocalValidatorMixin, is_in_force


@lru_cache(maxsize=32)
def composed_validator(base: type) -> type:
    """``base`` with our hooks over it; ``base`` itself where it has them already."""
    if issubclass(base, ReciprocalValidatorMixin):
        return base
    return type(f"Reciprocal{base.__name__}", (ReciprocalValidatorMixin, base), {})


@lru_cache(maxsize=32)
def composed_server(base: type) -> type:
    """``base`` with the reciprocal grant; ``base`` itself where it has it already."""
    if issubclass(base, ReciprocalServerMixin):
        return base
    return type(f"Reciprocal{base.__name__}", (ReciprocalServerMixin, base), {})


class _ComposingSettings:
    """Mixed into the class of DOT's settings object."""

    def __getattr__(self, name: str) -> Any:
        return _composed(name, super().__getattr__(name))  # type: ignore[misc]

    def __setattr__(self, name: str, value: Any) -> None:
        # DOT caches what it has read as an attribute. The site's own class must not stand there for
        # a moment: a thread that found it would build its token endpoint with it, for good.
        super().__setattr__(name, _composed(name, value))


def _composed(name: str, value: Any) -> Any:
    return composed_validator(value) if name == "OAUTH2_VALIDATOR_CLASS" else value


def install() -> None:
    """Make DOT's settings answer with the composed validator class. Called once, at start."""
    settings_class = type(oauth2_settings)
    if issubclass(settings_class, _ComposingSettings):
        return
    _guard(OAuth2Validator)
    # A value that was read before is cached on the object.
    oauth2_settings.reload()
    oauth2_settings.__class__ = type(
        settings_class.__name__, (_ComposingSettings, settings_class), {}
    )


def _guard(stock: Any) -> None:
    """Let also the stock class refuse tokens of disabled peers and inactive users: DOT's decorators
    (``protected_resource``) name that class itself, whatever the settings say."""
    validate = stock.validate_bearer_token

    @wraps(validate)
    def validate_bearer_token(self: Any, token: str, scopes: Any, request: Any) -> bool:
        return validate(self, token, scopes, request) and is_in_force(self, scopes, request)

    stock.validate_bearer_token = validate_bearer_token
