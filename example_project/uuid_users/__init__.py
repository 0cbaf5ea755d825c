"""Users with UUID keys. Installed with ``EXAMPLE_USER_MODEL=uuid``."""
