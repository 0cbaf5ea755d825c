"""The pages on which users start, allow, list, view, change and end their connections to peers."""
