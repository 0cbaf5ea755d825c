from django.conf import settings
from django.db import models
from django.utils import timezone


class Play(models.Model):
    """A track that was played for a person."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="plays"
    )
    title = models.CharField(max_length=200)
    artist = models.CharField(max_length=200)
    asked_by = models.CharField(max_length=200)
    at = models.DateTimeField(default=timezone.now)
    #: What came of telling the assistant, in words.
    report = models.CharField(max_length=300, blank=True)
    was_reported = models.BooleanField(default=False)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"“{self.title}” by {self.artist}"
