from django.apps import AppConfig


class AssistantConfig(AppConfig):
    name = "example_project.assistant"
    default_auto_field = "django.db.models.BigAutoField"
