"""Settings of an example site behind nginx: those of the example, and then those that the page of
the documentation shows for this site, with the addresses of the test."""

import json
import os

from example_project.settings import *  # noqa: F403
from example_project.settings import SITE

from ..newcomer.pages_of_docs import blocks_of

(_block,) = (each for each in blocks_of("behind_a_proxy") if each.caption == f"{SITE}: settings.py")
_code = _block.text
for _from, _to in json.loads(os.environ["TEST_ADDRESSES"]):
    _code = _code.replace(_from, _to)
exec(_code)  # noqa: S102
