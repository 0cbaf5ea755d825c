"""Two sites that link their users' accounts with each other: a voice assistant and a music service.

One Django project, either site by the environment variable ``EXAMPLE_SITE``; see ``settings``.
``python manage.py demo`` starts both.
"""

import os

if os.environ.get("RECIPROCAL_DISPATCHER") == "celery":
    # Where Celery delivers, Django must know the app before it sends anything.
    from .celery import app as celery_app

    __all__ = ["celery_app"]
