"""The JSON API, through which front ends and apps can do the same as users on the pages.

The module ``views`` has one class for each route. ``openapi`` is imported only if drf-spectacular
is installed.
"""
