"""The Celery app: ``celery -A example_project worker --beat`` delivers what
``RECIPROCAL_DISPATCHER=celery`` sends to the broker at ``CELERY_BROKER_URL``."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
