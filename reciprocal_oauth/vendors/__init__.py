"""What a site needs for one vendor besides the form of its messages (:mod:`..dialects`): the preset
with which an administrator adds the peer, and functions that call the vendor's own API."""

from collections.abc import Mapping

from . import alexa, google, sber, smartthings, yandex
from .preset import Preset

__all__ = ["Preset", "preset_of", "presets"]

_ALL: tuple[Preset, ...] = (
    smartthings.PRESET,
    alexa.PRESET,
    google.PRESET,
    yandex.PRESET,
    sber.PRESET,
)
_PRESETS: Mapping[str, Preset] = {preset.dialect: preset for preset in _ALL}


def presets() -> list[Preset]:
    """Return the presets of all vendors that this package knows."""
    return list(_PRESETS.values())


def preset_of(dialect: str) -> Preset | None:
    """Return the preset for the dialect with this name; ``None`` if there is none."""
    return _PRESETS.get(dialect)
