"""The example sites under test: Assistant is party A, Music is party B."""
