"""`reco generate`: writes what is rendered from the models, or says that it is out of date."""

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

from reco.api import docs
from reco.api.crds import crd_files
from reco.recipes import reference


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser of `reco`."""
    parser = subparsers.add_parser(
        "generate",
        help="render crds/, docs/api.md and docs/recipes.md from the models",
        description="Render crds/, docs/api.md and docs/recipes.md from what the code says.",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; show a diff and fail when a file is out of date",
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="the checkout (default: here)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the rendered files, or with `--check` compare them; return the exit status."""
    changed = 0
    for path, old, new in _changes(args.root):
        changed += 1
        if args.check:
            sys.stdout.writelines(_diff(path, old or "", new or ""))
        elif new is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(new, encoding="utf-8")
    if args.check and changed:
        sys.stderr.write(f"{changed} rendered files are out of date: run `reco generate`\n")
        return 1
    return 0


def _changes(root: Path) -> Iterator[tuple[Path, str | None, str | None]]:
    """Yield each file that is not as rendered, with its old and new text; None for no file."""
    wanted = {root / path: text for path, text in crd_files().items()}
    wanted[root / docs.PATH] = docs.api_reference()
    wanted[root / reference.PATH] = reference.recipe_reference()
    for path in sorted({*wanted, *(root / "crds").glob("*.yaml")}):
        old = path.read_text(encoding="utf-8") if path.exists() else None
        new = wanted.get(path)
        if old != new:
            yield path, old, new


def _diff(path: Path, old: str, new: str) -> Iterator[str]:
    return difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
