"""Setting up a peer: its application here, the sheet, discovery, the check, a change of address."""
