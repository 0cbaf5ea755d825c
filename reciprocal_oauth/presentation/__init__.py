"""The one place that says a link in words, for pages, admin and API."""
