"""How secrets that nobody has to remember are stored."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class FewRoundsHasher(PBKDF2PasswordHasher):
    """For client secrets that a program made of 256 random bits.

    Nobody can guess those, so many rounds protect nothing; they only cost both sites half a second
    for each request at a token endpoint. Passwords that people choose keep Django's default.
    """

    algorithm = "pbkdf2_sha256_few_rounds"
    iterations = 1_000
