"""Configuration of the documentation: ``python -m sphinx -W -n docs docs/_build/html``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reciprocal_oauth import __version__  # found by the line above

project = "reciprocal_oauth"
author = "the reciprocal_oauth contributors"
project_copyright = f"2026, {author}"
version = release = __version__

exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"reciprocal_oauth {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
