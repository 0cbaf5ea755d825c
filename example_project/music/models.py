from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from ..other_site import in_words


class Play(models.Model):
    """A track that was played for a user."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="plays"
    )
    title = models.CharField(max_length=200)
    artist = models.CharField(max_length=200)
    #: The site that asked for the track; empty if the user played it here.
    asked_by = models.CharField(max_length=200)
    at = models.DateTimeField(default=timezone.now)
    #: The reason why the report to the assistant failed; see ``CallFailed.reason``.
    report = models.CharField(max_length=300, blank=True)
    was_reported = models.BooleanField(default=False)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"“{self.title}” by {self.artist}"

    @property
    def report_in_words(self) -> str:
        """Return a text in the current language that says whether the report to the assistant
        succeeded, or why it failed."""
        if not self.was_reported:
            return in_words(self.report)
        track = {"title": self.title, "artist": self.artist}
        return _("The assistant heard: “%(title)s” by %(artist)s.") % track
