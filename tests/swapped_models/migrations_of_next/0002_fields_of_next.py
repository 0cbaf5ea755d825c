"""What the next release of django-oauth-toolkit adds to the models that a site derives from."""

import oauth2_provider.models
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("swapped_models", "0001_initial"),
    ]

    operations = [
        migrations.AlterUniqueTogether(
            name="renewal",
            unique_together=set(),
        ),
        migrations.AddField(
            model_name="registration",
            name="client_jwks",
            field=models.TextField(
                blank=True,
                default="",
                help_text='The client\'s JSON Web Key Set (RFC 7517, {"keys": [...]}) holding the public keys used to verify private_key_jwt client assertions. Public keys only. Mutually exclusive with client_jwks_uri.',
                verbose_name="client JWKS",
            ),
        ),
        migrations.AddField(
            model_name="registration",
            name="client_jwks_uri",
            field=models.URLField(
                blank=True,
                default="",
                help_text="HTTPS URL of the client's JSON Web Key Set, fetched to verify private_key_jwt client assertions. Mutually exclusive with client_jwks.",
                max_length=500,
                verbose_name="client JWKS URI",
            ),
        ),
        migrations.AddField(
            model_name="registration",
            name="require_pushed_authorization_requests",
            field=models.BooleanField(
                blank=True,
                default=None,
                help_text="Require this client to use Pushed Authorization Requests (RFC 9126). Leave unset to defer to the REQUIRE_PUSHED_AUTHORIZATION_REQUESTS setting.",
                null=True,
                verbose_name="require pushed authorization requests",
            ),
        ),
        migrations.AddField(
            model_name="registration",
            name="token_endpoint_auth_method",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "Not set (infer from client type)"),
                    ("none", "None (public client)"),
                    ("client_secret_basic", "Client secret via HTTP Basic auth"),
                    ("client_secret_post", "Client secret in the request body"),
                    ("client_secret_jwt", "JWT assertion signed with the client secret"),
                    ("private_key_jwt", "JWT assertion signed with a private key"),
                ],
                default="",
                help_text="How the client authenticates to the token endpoint. Leave unset to keep the legacy behavior (client secret via Basic auth or request body for confidential clients). When a JWT method is selected the client must authenticate with an RFC 7523 client assertion and secret-based authentication is rejected.",
                max_length=32,
                verbose_name="token endpoint auth method",
            ),
        ),
        migrations.AlterField(
            model_name="renewal",
            name="token_checksum",
            field=oauth2_provider.models.TokenChecksumField(
                db_index=True, max_length=64, unique=True, verbose_name="token checksum"
            ),
        ),
    ]
