"""Basics that all other folders use. No models, and no requests to peers."""
