"""The voice assistant: plays music at the music service, which reports what is playing."""
