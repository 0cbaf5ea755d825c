"""Basic modules that all other folders may use. They contain no models and send no requests."""
