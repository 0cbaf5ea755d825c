"""The music service: plays tracks, and reports each one to the assistant of the user."""
