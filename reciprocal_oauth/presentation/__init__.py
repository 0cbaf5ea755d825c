"""A link in words and as a diagram, for pages, admin and API."""
