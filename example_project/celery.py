"""The Celery app. With ``RECIPROCAL_DISPATCHER=celery``, deliveries are sent to the broker at
``CELERY_BROKER_URL``, and ``celery -A example_project worker --beat`` does them."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
