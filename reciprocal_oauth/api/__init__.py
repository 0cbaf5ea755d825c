"""Connections for front ends and apps: what the pages do, in JSON.

One module for each concern. ``views`` has one class per route, each a few lines over the service
that the page calls. ``openapi`` is loaded only where drf-spectacular is installed.
"""
