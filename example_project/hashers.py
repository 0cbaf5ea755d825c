"""The password hasher for client secrets."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class FewRoundsHasher(PBKDF2PasswordHasher):
    """Hashes client secrets that a program has generated from 256 random bits.

    Nobody can guess such a secret, so a slow hash with many rounds gives no protection. It would
    only make each request to a token endpoint take half a second longer. The passwords of users are
    still hashed with Django's default hasher.
    """

    algorithm = "pbkdf2_sha256_few_rounds"
    iterations = 1_000
