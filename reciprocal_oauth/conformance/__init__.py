"""Tests any implementation of draft-ietf-oauth-reciprocal-04 over HTTP, as the other party would.

``python -m reciprocal_oauth.conformance b`` plays party A and tests a party B; ``a`` plays party B
and tests a party A. This package needs the standard library only: it runs where the package is
installed without its dependencies (``pip install --no-deps``), and imports no Django.
"""
