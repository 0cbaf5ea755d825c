"""What every other room builds on: no models, no requests to peers."""
