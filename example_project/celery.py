"""The Celery app. With ``RECIPROCAL_DISPATCHER=celery``, the site sends a task for each delivery to
the broker at ``CELERY_BROKER_URL``. Start a worker that runs these tasks with
``celery -A example_project worker --beat``."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
