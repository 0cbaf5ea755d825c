"""The password hasher for client secrets."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class FewRoundsHasher(PBKDF2PasswordHasher):
    """For client secrets that a program made of 256 random bits.

    Nobody can guess such a secret, so more rounds protect nothing. They only cost half a second for
    each request at a token endpoint. Passwords that users choose keep Django's default.
    """

    algorithm = "pbkdf2_sha256_few_rounds"
    iterations = 1_000
