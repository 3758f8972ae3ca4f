import io
import json
import time

import pytest

from reco.jobs.progress import Progress
from reco.workload.progress import described


def test_progress_is_repeated_while_nothing_reports_any() -> None:
    output = io.StringIO()
    with Progress(output, every=0.01) as progress:
        progress("training", 0.5)
        deadline = time.monotonic() + 10
        while output.getvalue().count("\n") < 4 and time.monotonic() < deadline:
            time.sleep(0.001)
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    assert len(lines) >= 4
    assert {(line["stage"], line["progress"]) for line in lines} >= {("training", 0.5)}


def test_a_line_of_progress_is_described_in_steps_of_five_per_cent() -> None:
    output = io.StringIO()
    with Progress(output) as progress:
        progress("reading", 0.438)
    assert described(output.getvalue()) == "reading, 40 % done"


@pytest.mark.parametrize("logged", ["", "text", "[]", "7", '{"message": "x"}', '{"progress": {}}'])
def test_other_lines_say_nothing_of_progress(logged: str) -> None:
    assert described(logged) is None
