"""How families of peers speak the hand-over on the wire: one class per dialect, one file each.

``Peer.dialect`` holds the name of a dialect; :mod:`reciprocal_oauth.core.plugins` finds its class.
"""

from ..core.plugins import dialect_class
from ..core.plugins import dialects as dialect_names
from ..models import Peer
from .base import Dialect

__all__ = ["Dialect", "dialect_of", "dialects"]


def dialect_of(peer: Peer) -> Dialect:
    """Return the dialect that ``peer`` speaks.

    :raises ImproperlyConfigured: there is no dialect with that name.
    """
    return dialect_class(peer.dialect)()


def dialects() -> list[Dialect]:
    """Return all dialects: the built-in ones, then those of the setting ``DIALECTS``.

    :raises ImproperlyConfigured: the setting names a class that is no dialect.
    """
    return [dialect_class(name)() for name in dialect_names()]
