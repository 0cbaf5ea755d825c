"""Fixtures of party B's tests."""

from ..provider.conftest import (
    dot_settings,
    make_application,
    openid_connect,
    reciprocal_code,
    redeem,
    refresh,
    signing_key,
)

__all__ = [
    "dot_settings",
    "make_application",
    "openid_connect",
    "reciprocal_code",
    "redeem",
    "refresh",
    "signing_key",
]
