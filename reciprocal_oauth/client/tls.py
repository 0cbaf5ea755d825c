"""The TLS settings of the connections to peers, and to a proxy whose URL begins with https."""

import os
import ssl
from functools import lru_cache

import certifi
from django.core.exceptions import ImproperlyConfigured
from urllib3.util.ssl_ import create_urllib3_context

from ..conf import settings


def ca_bundle() -> str:
    """Return the path in the setting ``HTTP_CA_BUNDLE``; ``""`` if the setting is empty.

    :raises ImproperlyConfigured: the path does not exist. The settings of this site are wrong, so
        this is not reported as an error of the peer.
    """
    path = str(settings.HTTP_CA_BUNDLE)  # The setting can be a pathlib.Path.
    if path and not os.path.exists(path):
        raise ImproperlyConfigured(f"RECIPROCAL_OAUTH['HTTP_CA_BUNDLE']: {path} does not exist.")
    return path


def context(authorities: str = "") -> ssl.SSLContext:
    """Return a TLS context that checks the certificate and the host name of the other side (RFC
    9110, section 4.3.4).

    :param authorities: the path of the file or folder of certificate authorities; by default, those
        of the setting ``HTTP_CA_BUNDLE``, or else the public ones.
    :raises ImproperlyConfigured: see :func:`ca_bundle`.
    """
    authorities = authorities or ca_bundle() or certifi.where()
    return _make_context(authorities, os.stat(authorities).st_mtime_ns)


@lru_cache(maxsize=4)
def _make_context(authorities: str, changed: int) -> ssl.SSLContext:
    """Return a TLS context. It is cached until the certificate authorities change.

    :param changed: when this file or folder was last changed. It is only a part of the cache key:
        after a change, the key is new, so the certificate authorities are read again.
    """
    made = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    made.check_hostname = True
    if os.path.isdir(authorities):
        made.load_verify_locations(capath=authorities)
    else:
        made.load_verify_locations(cafile=authorities)
    return made
