"""Values that a dialect needs later for one code or one link, such as an address that the peer sent
with the code. They are stored in one encrypted column, as a JSON object."""

import json
from collections.abc import Mapping

from ..secret import Secret


def read(stored: Secret) -> dict[str, str]:
    """Return the values in an encrypted column.

    :raises DecryptionError: no key decrypts the column.
    """
    values: dict[str, str] = json.loads(stored.reveal()) if stored else {}
    return values


def written(values: Mapping[str, str]) -> Secret:
    """Return the content of an encrypted column for ``values``."""
    return Secret(json.dumps(dict(values)) if values else "")
