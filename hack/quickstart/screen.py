"""What people see: steps with their times, and what each resource waits for."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from hack.processes import ProcessError

DEADLINE_SECONDS: Final = 300.0

# A log has no width of its own; what people look at later should not be folded at 80.
console = Console(width=None if sys.stdout.isatty() else 140)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    console.print(f"[bold]>[/bold] {text} ...", end="", highlight=False)
    started = time.monotonic()
    yield
    console.print(f" [dim]{time.monotonic() - started:.1f} s[/dim]", highlight=False)


def wait_until_ready(kubectl: Callable[..., str]) -> None:
    """Show each resource and what it waits for until all are ready."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    shown: dict[str, str] = {}
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        while True:
            items = json.loads(kubectl("get", "reco", "-o", "json"))["items"]
            ready = all(condition(item, "Ready").get("status") == "True" for item in items)
            live.update(picture(items))
            if not console.is_terminal:
                report(items, shown)
            if ready and any(item["kind"] == "Campaign" for item in items):
                break
            stalled = [item for item in items if condition(item, "Stalled")]
            if stalled:
                message = condition(stalled[0], "Stalled")["message"]
                raise ProcessError(f"{title(stalled[0])} is stalled: {message}")
            if time.monotonic() > deadline:
                raise ProcessError(f"not ready after {DEADLINE_SECONDS:.0f} s")
            time.sleep(0.5)


def condition(item: Mapping[str, Any], type_: str) -> dict[str, str]:
    """Return one condition of a resource, empty if it is not there."""
    conditions = item.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == type_), {})


def title(item: Mapping[str, Any]) -> str:
    """Return kind and name."""
    return f"{item['kind']} {item['metadata']['name']}"


MARKS: Final = {"True": "[green]ready[/green]", "False": "[yellow]waits[/yellow]"}


def picture(items: list[dict[str, Any]]) -> Table:
    """Return the resources as a table."""
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    for column in ("state", "resource", "what it waits for"):
        grid.add_column(column, no_wrap=True, overflow="ellipsis")
    for item in items:
        ready = condition(item, "Ready")
        mark = MARKS.get(ready.get("status", ""), "[cyan]works[/cyan]")
        reason, message = ready.get("reason", "Pending"), ready.get("message", "")
        grid.add_row(mark, title(item), f"[dim]{reason}: {message}[/dim]")
    return grid


def report(items: list[dict[str, Any]], shown: dict[str, str]) -> None:
    """Print what has changed, where no terminal can show a table that moves."""
    for item in items:
        ready = condition(item, "Ready")
        line = f"{ready.get('reason', 'Pending')}: {ready.get('message', '')[:110]}"
        if shown.get(title(item)) != line:
            shown[title(item)] = line
            console.print(f"  {title(item)}: {line}", highlight=False)
