"""Two sites that link their users' accounts with each other: a voice assistant and a music service.

One Django project, either site by the environment variable ``EXAMPLE_SITE``; see ``settings``.
``python manage.py demo`` starts both.
"""
