"""The Celery app of the processes that tests start, with a queue that belongs to one test."""

import json
import os
import threading
from typing import Any

from celery import Celery
from celery.signals import task_postrun
from django.conf import settings

app = Celery("tests")
app.config_from_object("django.conf:settings", namespace="CELERY")
settings.RECIPROCAL_OAUTH |= json.loads(os.environ["TEST_RECIPROCAL_OAUTH"])

name = os.environ["TEST_CELERY_QUEUE"]
app.conf.broker_url = os.environ["CELERY_BROKER_URL"]
app.conf.broker_transport_options = {"global_keyprefix": f"{name}:"}
app.conf.task_default_queue = name
app.conf.result_backend = os.environ.get("CELERY_RESULT_BACKEND")
if not app.conf.beat_schedule:
    app.conf.beat_schedule = {
        "reciprocal_oauth": {
            "task": "reciprocal_oauth.sweep",
            "schedule": settings.RECIPROCAL_OAUTH["DISPATCHER_SWEEP_SECONDS"],
        },
    }


@task_postrun.connect
def say_which_threads_there_are(**arguments: Any) -> None:
    names = [each.name for each in threading.enumerate() if each.name.startswith("reciprocal")]
    print(f"Our threads {names}", flush=True)
