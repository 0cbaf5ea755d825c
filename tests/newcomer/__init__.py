"""What a newcomer meets: the commands and code of the documentation, followed to the letter."""
