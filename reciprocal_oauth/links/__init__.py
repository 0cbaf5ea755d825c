"""The link of a person: its state, the incoming access and the outgoing access."""
