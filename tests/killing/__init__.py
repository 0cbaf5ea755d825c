import pytest

pytest.register_assert_rewrite(f"{__name__}.invariants", f"{__name__}.places")
