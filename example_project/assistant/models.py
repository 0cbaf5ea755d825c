from django.conf import settings
from django.db import models


class NowPlaying(models.Model):
    """The last track that a connected site reported for a user."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="now_playing"
    )
    title = models.CharField(max_length=200)
    artist = models.CharField(max_length=200)
    told_by = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "now playing"

    def __str__(self) -> str:
        return f"“{self.title}” by {self.artist}"
