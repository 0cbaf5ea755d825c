"""One person's link: its state, and the access on both sides."""
