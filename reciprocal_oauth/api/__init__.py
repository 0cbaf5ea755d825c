"""The JSON API for front ends and apps: it does the same as the pages.

``views`` has one class for each route. A view calls the same function as the page. ``openapi`` is
imported only if drf-spectacular is installed.
"""
