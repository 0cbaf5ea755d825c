"""Two sites that link their users' accounts with each other: a voice assistant and a music service.

One Django project for both sites. The environment variable ``EXAMPLE_SITE`` chooses one.
``python manage.py demo`` starts both.
"""

import os

if os.environ.get("RECIPROCAL_DISPATCHER") == "celery":
    # Django must know the Celery app before it sends a task.
    from .celery import app as celery_app

    __all__ = ["celery_app"]
