"""Adds the mixins of this app to the validator class and the server class of the site.

The site names both classes in its setting ``OAUTH2_PROVIDER``. Not only views use the validator
class: DOT's authentication class for Django REST framework, its middleware and its decorators also
read it from DOT's settings object. So this module makes that object return the validator class with
the mixin of this app. As a result, the tokens of a disabled peer are refused everywhere. The
setting itself does not change.
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
    """Return a subclass of ``base`` with :class:`.ReciprocalValidatorMixin`. If ``base`` already
    has the mixin, return ``base`` itself."""
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
    """A mixin for the class of DOT's settings object. With it, the setting
    ``OAUTH2_VALIDATOR_CLASS`` is the result of :func:`composed_validator` for the site's class."""

    def __getattr__(self, name: str) -> Any:
        return _composed(name, super().__getattr__(name))  # type: ignore[misc]

    def __setattr__(self, name: str, value: Any) -> None:
        # When a setting is read for the first time, DOT stores it as an attribute of this object.
        # So add the mixin before the validator class is stored. Otherwise another thread could read
        # the class without the mixin. The token endpoint would then use this class permanently.
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
    # Make DOT forget the settings that it has already read. Otherwise it could keep a validator
    # class without the mixin.
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
