"""Registers the template filters of this app. The filters are functions from the package
:mod:`..presentation`."""

from django import template

from ..presentation import dates, history
from ..presentation.account import account_of
from ..presentation.link_status import link_status
from ..presentation.next_step import knows_accounts
from ..presentation.peer_logo import initial_of, logo_url

register = template.Library()
register.filter(account_of)
register.filter(link_status)
register.filter(initial_of)
register.filter(logo_url)
register.filter(knows_accounts)
for each in (
    history.name_with_account,
    history.problem_in_words,
    history.may_try_again,
    history.happened,
    history.details,
    dates.moment,
    dates.exact_moment,
):
    register.filter(each)
