"""``python -m tests.conformance.reports`` writes the snapshots again. Look at what differs before
you keep it."""

from .rendered import FOLDER, SNAPSHOTS
from .sample import sample_checks

if __name__ == "__main__":
    with sample_checks():
        for name, make in SNAPSHOTS.items():
            (FOLDER / name).write_text(make(), encoding="utf-8")
