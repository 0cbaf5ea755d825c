"""How long tokens live, if the tester waits for their end."""

from typing import Final

#: The tester renews a token after half of its life. Then it may have to wait for a minute, because
#: the site limits the hand-overs, and the token has to be valid after that.
ACCESS_TOKEN_SECONDS: Final = 150
