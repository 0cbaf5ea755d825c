"""Fixtures of party B's tests."""

from ..provider.conftest import (
    at_once,
    dot_settings,
    make_application,
    openid_connect,
    reciprocal_code,
    redeem,
    refresh,
    signing_key,
)

__all__ = [
    "at_once",
    "dot_settings",
    "make_application",
    "openid_connect",
    "reciprocal_code",
    "redeem",
    "refresh",
    "signing_key",
]
