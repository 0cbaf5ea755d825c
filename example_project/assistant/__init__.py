"""The voice assistant: plays music at the music service, and hears from it what is playing."""
