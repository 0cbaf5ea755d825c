import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('reciprocal_oauth', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='ClaimGate',
            fields=[
                ('peer', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='reciprocal_oauth.peer')),
            ],
        ),
        migrations.RemoveIndex(
            model_name='inboxitem',
            name='reciprocal_inbox_due',
        ),
        migrations.RemoveIndex(
            model_name='outboxitem',
            name='reciprocal_outbox_due',
        ),
        migrations.AddField(
            model_name='inboxitem',
            name='reason',
            field=models.CharField(blank=True, choices=[('', 'no reason'), ('expired', 'the access ran out and cannot be renewed'), ('refresh_refused', 'the other site no longer renews the access'), ('unreadable', 'the stored access cannot be read with the keys of this site'), ('handover_refused', 'the other site refused the code'), ('token_refused', 'the other site no longer knows this connection'), ('credentials_refused', 'the other site refused the credentials of this site'), ('unreachable', 'the other site could not be reached'), ('unconfirmed', 'the other site took the code but never used it'), ('code_refused', 'the other site refused to redeem its own code'), ('bad_answer', 'the other site answered something that cannot be used'), ('nothing_left', 'nothing is left that it may be given'), ('replaced', 'a newer connection took its place'), ('revoked_here', 'it was ended here'), ('revoked_there', 'the other site ended it'), ('user_inactive', 'the account here was deactivated'), ('peer_disabled', 'the other site was switched off by an administrator'), ('gone', 'the other site says that its endpoint is gone for good'), ('stopped', 'an administrator stopped the delivery')], max_length=30, verbose_name='why it was given up'),
        ),
        migrations.AddField(
            model_name='outboxitem',
            name='reason',
            field=models.CharField(blank=True, choices=[('', 'no reason'), ('expired', 'the access ran out and cannot be renewed'), ('refresh_refused', 'the other site no longer renews the access'), ('unreadable', 'the stored access cannot be read with the keys of this site'), ('handover_refused', 'the other site refused the code'), ('token_refused', 'the other site no longer knows this connection'), ('credentials_refused', 'the other site refused the credentials of this site'), ('unreachable', 'the other site could not be reached'), ('unconfirmed', 'the other site took the code but never used it'), ('code_refused', 'the other site refused to redeem its own code'), ('bad_answer', 'the other site answered something that cannot be used'), ('nothing_left', 'nothing is left that it may be given'), ('replaced', 'a newer connection took its place'), ('revoked_here', 'it was ended here'), ('revoked_there', 'the other site ended it'), ('user_inactive', 'the account here was deactivated'), ('peer_disabled', 'the other site was switched off by an administrator'), ('gone', 'the other site says that its endpoint is gone for good'), ('stopped', 'an administrator stopped the delivery')], max_length=30, verbose_name='why it was given up'),
        ),
        migrations.AddField(
            model_name='peer',
            name='paused_at',
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name='paused'),
        ),
        migrations.AddField(
            model_name='peer',
            name='paused_reason',
            field=models.CharField(blank=True, choices=[('', 'no reason'), ('expired', 'the access ran out and cannot be renewed'), ('refresh_refused', 'the other site no longer renews the access'), ('unreadable', 'the stored access cannot be read with the keys of this site'), ('handover_refused', 'the other site refused the code'), ('token_refused', 'the other site no longer knows this connection'), ('credentials_refused', 'the other site refused the credentials of this site'), ('unreachable', 'the other site could not be reached'), ('unconfirmed', 'the other site took the code but never used it'), ('code_refused', 'the other site refused to redeem its own code'), ('bad_answer', 'the other site answered something that cannot be used'), ('nothing_left', 'nothing is left that it may be given'), ('replaced', 'a newer connection took its place'), ('revoked_here', 'it was ended here'), ('revoked_there', 'the other site ended it'), ('user_inactive', 'the account here was deactivated'), ('peer_disabled', 'the other site was switched off by an administrator'), ('gone', 'the other site says that its endpoint is gone for good'), ('stopped', 'an administrator stopped the delivery')], editable=False, max_length=30, verbose_name='why it is paused'),
        ),
        migrations.AlterField(
            model_name='link',
            name='incoming_reason',
            field=models.CharField(blank=True, choices=[('', 'no reason'), ('expired', 'the access ran out and cannot be renewed'), ('refresh_refused', 'the other site no longer renews the access'), ('unreadable', 'the stored access cannot be read with the keys of this site'), ('handover_refused', 'the other site refused the code'), ('token_refused', 'the other site no longer knows this connection'), ('credentials_refused', 'the other site refused the credentials of this site'), ('unreachable', 'the other site could not be reached'), ('unconfirmed', 'the other site took the code but never used it'), ('code_refused', 'the other site refused to redeem its own code'), ('bad_answer', 'the other site answered something that cannot be used'), ('nothing_left', 'nothing is left that it may be given'), ('replaced', 'a newer connection took its place'), ('revoked_here', 'it was ended here'), ('revoked_there', 'the other site ended it'), ('user_inactive', 'the account here was deactivated'), ('peer_disabled', 'the other site was switched off by an administrator'), ('gone', 'the other site says that its endpoint is gone for good'), ('stopped', 'an administrator stopped the delivery')], max_length=30, verbose_name='why incoming access does not work'),
        ),
        migrations.AlterField(
            model_name='link',
            name='outgoing_reason',
            field=models.CharField(blank=True, choices=[('', 'no reason'), ('expired', 'the access ran out and cannot be renewed'), ('refresh_refused', 'the other site no longer renews the access'), ('unreadable', 'the stored access cannot be read with the keys of this site'), ('handover_refused', 'the other site refused the code'), ('token_refused', 'the other site no longer knows this connection'), ('credentials_refused', 'the other site refused the credentials of this site'), ('unreachable', 'the other site could not be reached'), ('unconfirmed', 'the other site took the code but never used it'), ('code_refused', 'the other site refused to redeem its own code'), ('bad_answer', 'the other site answered something that cannot be used'), ('nothing_left', 'nothing is left that it may be given'), ('replaced', 'a newer connection took its place'), ('revoked_here', 'it was ended here'), ('revoked_there', 'the other site ended it'), ('user_inactive', 'the account here was deactivated'), ('peer_disabled', 'the other site was switched off by an administrator'), ('gone', 'the other site says that its endpoint is gone for good'), ('stopped', 'an administrator stopped the delivery')], max_length=30, verbose_name='why outgoing access does not work'),
        ),
        migrations.AddIndex(
            model_name='inboxitem',
            index=models.Index(fields=['next_attempt_at'], name='reciprocal_inboxitem_due'),
        ),
        migrations.AddIndex(
            model_name='inboxitem',
            index=models.Index(fields=['state', 'peer'], name='reciprocal_inboxitem_state'),
        ),
        migrations.AddIndex(
            model_name='outboxitem',
            index=models.Index(fields=['next_attempt_at'], name='reciprocal_outboxitem_due'),
        ),
        migrations.AddIndex(
            model_name='outboxitem',
            index=models.Index(fields=['state', 'peer'], name='reciprocal_outboxitem_state'),
        ),
    ]
