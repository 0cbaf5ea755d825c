"""The dialects. A dialect is the form of the HTTP requests and responses that a kind of peer uses.

For example, a dialect defines how a hand-over (a request that contains a reciprocal code) looks.
Each dialect is a class in its own file. ``Peer.dialect`` stores the name of the dialect of a peer,
and :mod:`reciprocal_oauth.core.plugins` finds the class with this name.
"""

from ..core.plugins import dialect_class
from ..core.plugins import dialects as dialect_names
from ..models import Peer
from .base import Dialect

__all__ = ["Dialect", "dialect_of", "dialects"]


def dialect_of(peer: Peer) -> Dialect:
    """Return the dialect that ``peer`` uses.

    :raises ImproperlyConfigured: there is no dialect with the name in ``peer.dialect``.
    """
    return dialect_class(peer.dialect)()


def dialects() -> list[Dialect]:
    """Return all dialects: first the built-in dialects, then the dialects in the setting
    ``DIALECTS``.

    :raises ImproperlyConfigured: the setting contains a class that is not a dialect.
    """
    return [dialect_class(name)() for name in dialect_names()]
