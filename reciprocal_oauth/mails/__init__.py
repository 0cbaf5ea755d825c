"""Mails to people about their links: connected, ended, needs attention. A site switches them on
with the setting ``MAIL_EVENTS``."""
