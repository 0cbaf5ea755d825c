from django.apps import AppConfig


class MusicConfig(AppConfig):
    name = "example_project.music"
    default_auto_field = "django.db.models.BigAutoField"
