"""Plays a track, and reports it to the assistant and to the smart homes of the user."""

from typing import Any

from ..other_site import CallFailed, call
from .models import Play
from .reports import report_to_vendors

TRACKS = {
    "calm": [
        ("Gymnopédie No. 1", "Erik Satie"),
        ("Clair de lune", "Claude Debussy"),
        ("Träumerei", "Robert Schumann"),
    ],
    "lively": [
        ("Maple Leaf Rag", "Scott Joplin"),
        ("Turkish March", "Wolfgang Amadeus Mozart"),
        ("Tico-Tico no fubá", "Zequinha de Abreu"),
    ],
}


def play(user: Any, mood: str, *, asked_by: str) -> Play:
    """Play the next track of a mood for ``user``. If the mood is unknown, choose from all tracks.

    :param asked_by: the site that asks for the track; empty if the user plays it at this site.
    """
    tracks = TRACKS.get(mood) or [track for tracks in TRACKS.values() for track in tracks]
    title, artist = tracks[Play.objects.filter(user=user).count() % len(tracks)]
    played = Play.objects.create(user=user, title=title, artist=artist, asked_by=asked_by)
    _tell_assistant(user, played)
    report_to_vendors(user)
    return played


def _tell_assistant(user: Any, played: Play) -> None:
    """Report the track to the assistant. If this fails, store the reason; the track is still
    played."""
    track = {"title": played.title, "artist": played.artist}
    try:
        call(user, "POST", "api/now-playing/", track)
        played.was_reported = True
    except CallFailed as failed:
        played.report = failed.reason
    played.save(update_fields=["report", "was_reported"])
