"""Two sites that link their users' accounts with each other: a voice assistant and a music service.

Both sites use this Django project. The environment variable ``EXAMPLE_SITE`` says which of the two
sites a process runs. ``python manage.py demo`` starts both sites.
"""

import os

if os.environ.get("RECIPROCAL_DISPATCHER") == "celery":
    # Import the Celery app when Django starts, because it must exist before a task is sent.
    from .celery import app as celery_app

    __all__ = ["celery_app"]
