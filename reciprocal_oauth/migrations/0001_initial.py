import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import reciprocal_oauth.models.fields
import uuid
from django.conf import settings
from django.db import migrations, models

from reciprocal_oauth.compat import APPLICATION_MODEL


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        migrations.swappable_dependency(APPLICATION_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Peer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(help_text='Part of the redirect URI that is registered at the peer: keep it.', unique=True, verbose_name='short name')),
                ('name', models.CharField(help_text='As people know the site.', max_length=200, verbose_name='name')),
                ('homepage', models.CharField(blank=True, max_length=500, validators=[django.core.validators.URLValidator(['https', 'http'])], verbose_name='homepage')),
                ('enabled', models.BooleanField(default=True, help_text='When off, nobody can connect and the peer is refused everywhere here. It may take the refusals for the end of its connections, which people then have to begin again.', verbose_name='enabled')),
                ('dialect', models.CharField(default='ietf', help_text='How this peer speaks: “ietf” is the draft as it is written.', max_length=200, verbose_name='dialect')),
                ('issuer', models.CharField(blank=True, help_text='Its issuer identifier. When set, an authorization response that names another issuer is refused (RFC 9207).', max_length=500, verbose_name='issuer')),
                ('authorization_endpoint', models.CharField(help_text='Where people are sent to allow.', max_length=500, verbose_name='authorization endpoint')),
                ('token_endpoint', models.CharField(help_text='Where codes are exchanged for tokens.', max_length=500, verbose_name='token endpoint')),
                ('revocation_endpoint', models.CharField(blank=True, help_text='RFC 7009.', max_length=500, verbose_name='revocation endpoint')),
                ('reciprocal_endpoint', models.CharField(blank=True, help_text='Where our codes are handed over. Blank: the token endpoint.', max_length=500, verbose_name='reciprocal endpoint')),
                ('client_id', models.CharField(help_text='The id that the peer gave to this site, not the one it has here.', max_length=255, verbose_name='our client ID there')),
                ('client_secret', reciprocal_oauth.models.fields.EncryptedField(blank=True, default='', help_text='The secret that the peer gave to this site. Stored encrypted, never shown.', verbose_name='our client secret there')),
                ('token_endpoint_auth_method', models.CharField(choices=[('client_secret_basic', 'HTTP Basic'), ('client_secret_post', 'In the request body')], default='client_secret_basic', help_text='How this site authenticates there.', max_length=30, verbose_name='client authentication')),
                ('scope', models.CharField(blank=True, help_text='What we ask of the peer when a person starts at this site.', max_length=1000, verbose_name='scope we ask for')),
                ('reciprocal_scope', models.CharField(blank=True, help_text='What we ask of the peer in the “reciprocal” parameter when the person started there. Blank: the parameter is left out.', max_length=1000, verbose_name='reciprocal scope we ask for')),
                ('allowed_scope', models.CharField(blank=True, help_text='Scopes of this site. The peer is never given more, whoever asks.', max_length=1000, verbose_name='most it may hold here')),
                ('preconfigured_scope', models.CharField(blank=True, help_text='What people here are asked to give to the peer when it sends no “reciprocal” parameter. Part of the scope above.', max_length=1000, verbose_name='agreed scope')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated')),
                ('application', models.OneToOneField(help_text="The peer's own registration at this site: confidential, authorization code, with the peer's callback as redirect URI. One application serves one peer.", on_delete=django.db.models.deletion.PROTECT, related_name='reciprocal_peer', to=APPLICATION_MODEL, verbose_name='its application here')),
            ],
            options={
                'verbose_name': 'peer',
                'verbose_name_plural': 'peers',
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Link',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('active', 'active'), ('ended', 'ended')], default='active', max_length=10, verbose_name='status')),
                ('account_key', models.CharField(editable=False, max_length=80, verbose_name='account key')),
                ('subject', models.CharField(blank=True, max_length=255, verbose_name='account ID there')),
                ('account_name', models.CharField(blank=True, max_length=255, verbose_name='account there')),
                ('outgoing_state', models.CharField(choices=[('waiting', 'waiting for approval there'), ('active', 'working'), ('broken', 'broken'), ('ended', 'ended')], default='waiting', max_length=10, verbose_name='outgoing access')),
                ('outgoing_reason', models.CharField(blank=True, choices=[('', 'no reason'), ('expired', 'the access ran out and cannot be renewed'), ('refresh_refused', 'the other site no longer renews the access'), ('unreadable', 'the stored access cannot be read with the keys of this site'), ('handover_refused', 'the other site refused the code'), ('token_refused', 'the other site no longer knows this connection'), ('credentials_refused', 'the other site refused the credentials of this site'), ('unreachable', 'the other site could not be reached'), ('unconfirmed', 'the other site took the code but never used it'), ('code_refused', 'the other site refused to redeem its own code'), ('bad_answer', 'the other site answered something that cannot be used'), ('nothing_left', 'nothing is left that it may be given'), ('replaced', 'a newer connection took its place'), ('revoked_here', 'it was ended here'), ('revoked_there', 'the other site ended it'), ('user_inactive', 'the account here was deactivated'), ('peer_disabled', 'the other site was switched off by an administrator')], max_length=30, verbose_name='why outgoing access does not work')),
                ('access_token', reciprocal_oauth.models.fields.EncryptedField(blank=True, default='', verbose_name='access token')),
                ('refresh_token', reciprocal_oauth.models.fields.EncryptedField(blank=True, default='', verbose_name='refresh token')),
                ('outgoing_scope', models.TextField(blank=True, verbose_name='scope we hold there')),
                ('access_token_expires_at', models.DateTimeField(blank=True, null=True, verbose_name='access token expires')),
                ('refresh_lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('refresh_lease_owner', models.CharField(blank=True, editable=False, max_length=64)),
                ('incoming_state', models.CharField(choices=[('none', 'nothing asked'), ('offered', 'waiting for your answer'), ('denied', 'not allowed'), ('granted', 'allowed, on its way'), ('active', 'working'), ('broken', 'broken'), ('ended', 'ended')], default='none', max_length=10, verbose_name='incoming access')),
                ('incoming_reason', models.CharField(blank=True, choices=[('', 'no reason'), ('expired', 'the access ran out and cannot be renewed'), ('refresh_refused', 'the other site no longer renews the access'), ('unreadable', 'the stored access cannot be read with the keys of this site'), ('handover_refused', 'the other site refused the code'), ('token_refused', 'the other site no longer knows this connection'), ('credentials_refused', 'the other site refused the credentials of this site'), ('unreachable', 'the other site could not be reached'), ('unconfirmed', 'the other site took the code but never used it'), ('code_refused', 'the other site refused to redeem its own code'), ('bad_answer', 'the other site answered something that cannot be used'), ('nothing_left', 'nothing is left that it may be given'), ('replaced', 'a newer connection took its place'), ('revoked_here', 'it was ended here'), ('revoked_there', 'the other site ended it'), ('user_inactive', 'the account here was deactivated'), ('peer_disabled', 'the other site was switched off by an administrator')], max_length=30, verbose_name='why incoming access does not work')),
                ('offered_scope', models.TextField(blank=True, verbose_name='scope it asked for')),
                ('incoming_scope', models.TextField(blank=True, verbose_name='scope it may use here')),
                ('generation', models.PositiveIntegerField(default=0, help_text='How often the user has decided what the peer may do here (the generation).', verbose_name='decisions')),
                ('confirmed_generation', models.PositiveIntegerField(default=0, help_text='The last decision that has reached the peer: it has redeemed the code for it. Less than the number above while a code is on its way.', verbose_name='decision in force')),
                ('incoming_family', models.UUIDField(blank=True, db_index=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated')),
                ('linked_at', models.DateTimeField(blank=True, null=True, verbose_name='linked both ways')),
                ('ended_at', models.DateTimeField(blank=True, null=True, verbose_name='ended')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='reciprocal_links', to=settings.AUTH_USER_MODEL, verbose_name='user')),
                ('peer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='links', to='reciprocal_oauth.peer', verbose_name='peer')),
            ],
            options={
                'verbose_name': 'link',
                'verbose_name_plural': 'links',
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='InboxItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('pending', 'waiting for its turn'), ('claimed', 'being worked on'), ('accepted', 'taken by the other site, not used yet'), ('done', 'done'), ('dead', 'given up'), ('cancelled', 'no longer needed')], default='pending', max_length=10, verbose_name='state')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('next_attempt_at', models.DateTimeField(default=django.utils.timezone.now, null=True, verbose_name='next attempt')),
                ('lease_owner', models.CharField(blank=True, editable=False, max_length=64, null=True)),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('last_error', models.CharField(blank=True, max_length=500, verbose_name='last error')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
                ('code', reciprocal_oauth.models.fields.EncryptedField(blank=True, default='')),
                ('code_hash', models.CharField(editable=False, max_length=64)),
                ('link', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='inbox', to='reciprocal_oauth.link')),
                ('peer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='inbox', to='reciprocal_oauth.peer')),
            ],
            options={
                'verbose_name': 'incoming hand-over',
                'verbose_name_plural': 'incoming hand-overs',
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='AuthorizationRequest',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('state_hash', models.CharField(editable=False, max_length=64, unique=True)),
                ('code_verifier', reciprocal_oauth.models.fields.EncryptedField(blank=True, default='')),
                ('nonce', models.CharField(blank=True, max_length=64)),
                ('redirect_uri', models.CharField(max_length=500)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('answered_at', models.DateTimeField(blank=True, null=True)),
                ('problem', models.CharField(blank=True, choices=[('', 'no problem'), ('denied', 'access was not allowed there'), ('peer_error', 'the other site answered with an error'), ('setup', 'the other site does not take the requests of this one'), ('peer_unreachable', 'the other site could not be reached'), ('peer_refused', 'the other site refused the exchange'), ('bad_answer', 'the other site answered something that cannot be used'), ('wrong_issuer', 'the answer came from another site'), ('no_code', 'the answer carried no code')], max_length=20)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('link', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='reciprocal_oauth.link')),
                ('peer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='reciprocal_oauth.peer')),
            ],
            options={
                'verbose_name': 'authorization request',
                'verbose_name_plural': 'authorization requests',
            },
        ),
        migrations.CreateModel(
            name='ReciprocalCode',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('code_hash', models.CharField(editable=False, max_length=64, unique=True)),
                ('generation', models.PositiveIntegerField(verbose_name='generation')),
                ('application_pk', models.CharField(editable=False, max_length=64)),
                ('state', models.CharField(choices=[('live', 'not redeemed yet'), ('redeemed', 'redeemed'), ('dead', 'no longer valid')], default='live', max_length=10, verbose_name='state')),
                ('token_family', models.UUIDField(blank=True, editable=False, null=True)),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='created')),
                ('redeemed_at', models.DateTimeField(blank=True, null=True, verbose_name='redeemed')),
                ('replays', models.PositiveIntegerField(default=0, verbose_name='replays')),
                ('link', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='codes', to='reciprocal_oauth.link')),
            ],
            options={
                'verbose_name': 'reciprocal code',
                'verbose_name_plural': 'reciprocal codes',
            },
        ),
        migrations.CreateModel(
            name='LinkEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='time')),
                ('party', models.CharField(blank=True, choices=[('A', 'party A'), ('B', 'party B')], max_length=1, verbose_name='party')),
                ('step', models.CharField(blank=True, choices=[('', 'outside the flow'), ('A', 'authorization request'), ('B', 'authorization granted'), ('C', 'code sent'), ('D', 'access token received'), ('consent', 'consent to the reverse'), ('E', 'reciprocal code handed over'), ('F', 'reciprocal code redeemed'), ('G', 'access token for the reverse')], max_length=8, verbose_name='step')),
                ('outcome', models.CharField(choices=[('ok', 'done'), ('failed', 'failed')], default='ok', max_length=8, verbose_name='outcome')),
                ('generation', models.PositiveIntegerField(default=0, verbose_name='generation')),
                ('detail', models.CharField(blank=True, max_length=300, verbose_name='detail')),
                ('link', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='reciprocal_oauth.link')),
            ],
            options={
                'verbose_name': 'link event',
                'verbose_name_plural': 'link events',
                'ordering': ['at', 'id'],
                'indexes': [models.Index(fields=['link', 'at'], name='reciprocal_event_of_link')],
            },
        ),
        migrations.CreateModel(
            name='OutboxItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('pending', 'waiting for its turn'), ('claimed', 'being worked on'), ('accepted', 'taken by the other site, not used yet'), ('done', 'done'), ('dead', 'given up'), ('cancelled', 'no longer needed')], default='pending', max_length=10, verbose_name='state')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('next_attempt_at', models.DateTimeField(default=django.utils.timezone.now, null=True, verbose_name='next attempt')),
                ('lease_owner', models.CharField(blank=True, editable=False, max_length=64, null=True)),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('last_error', models.CharField(blank=True, max_length=500, verbose_name='last error')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
                ('kind', models.CharField(choices=[('handover', 'hand-over'), ('revocation', 'revocation there')], default='handover', max_length=12, verbose_name='kind')),
                ('generation', models.PositiveIntegerField(default=0, verbose_name='generation')),
                ('live_key', models.CharField(editable=False, max_length=36, null=True, unique=True)),
                ('resends', models.PositiveSmallIntegerField(default=0, verbose_name='sent anew')),
                ('token', reciprocal_oauth.models.fields.EncryptedField(blank=True, default='')),
                ('accepted_at', models.DateTimeField(blank=True, null=True, verbose_name='accepted')),
                ('link', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='outbox', to='reciprocal_oauth.link')),
                ('peer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='outbox', to='reciprocal_oauth.peer')),
            ],
            options={
                'verbose_name': 'outgoing hand-over',
                'verbose_name_plural': 'outgoing hand-overs',
                'ordering': ['-created_at'],
                'indexes': [models.Index(fields=['state', 'next_attempt_at'], name='reciprocal_outbox_due')],
            },
        ),
        migrations.AddIndex(
            model_name='link',
            index=models.Index(fields=['user', 'status'], name='reciprocal_link_of_user'),
        ),
        migrations.AddConstraint(
            model_name='link',
            constraint=models.UniqueConstraint(fields=('user', 'peer', 'account_key'), name='reciprocal_link_per_account'),
        ),
        migrations.AddIndex(
            model_name='inboxitem',
            index=models.Index(fields=['state', 'next_attempt_at'], name='reciprocal_inbox_due'),
        ),
        migrations.AddConstraint(
            model_name='inboxitem',
            constraint=models.UniqueConstraint(fields=('peer', 'code_hash'), name='reciprocal_inbox_code_once'),
        ),
        migrations.AddIndex(
            model_name='reciprocalcode',
            index=models.Index(fields=['link', 'state'], name='reciprocal_code_of_link'),
        ),
    ]
