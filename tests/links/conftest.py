"""Fixtures of the links' tests: what a peer holds here, and what is announced."""

from ..provider.conftest import (  # noqa: F401  Fixtures.
    at_once,
    broken,
    dot_settings,
    make_application,
    openid_connect,
    reciprocal_code,
    redeem,
    refresh,
    signing_key,
    tokens,
)
