"""What a mutant is: a small harmful change of the product that named tests must notice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class StaleError(Exception):
    """A mutant no longer fits the product or its tests."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement of text."""

    file: str
    """Path from the root of the checkout."""
    old: str
    """Stands in the file exactly once."""
    new: str

    def apply(self, root: Path) -> None:
        """Change the file below a root.

        Raises:
            StaleError: if the text is not there exactly once.
        """
        path = root / self.file
        if not path.is_file():
            raise StaleError(f"{self.file} does not exist")
        content = path.read_text()
        if (found := content.count(self.old)) != 1:
            raise StaleError(f"{self.file} has this text {found} times, not once:\n{self.old}")
        path.write_text(content.replace(self.old, self.new))

    @property
    def module(self) -> str:
        """The Python module that is changed."""
        return self.file.removeprefix("operator/").removesuffix(".py").replace("/", ".")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A row of the table."""

    name: str
    harm: str
    """What it would do to a user."""
    edits: Sequence[Edit]
    """One where possible; several where a second guard would make up for the first."""
    tests: Sequence[str]
    """Arguments for pytest: the fastest tests that must fail."""
    says: str = ""
    """Text that the failure must contain, where the tests could fail for another reason."""
    seconds: int = 300
    """Time limit of the tests; what takes longer counts as noticed."""

    def problem(self, root: Path) -> str | None:
        """Return why the row does not fit the checkout at a root, or None."""
        for edit in self.edits:
            path = root / edit.file
            found = path.read_text().count(edit.old) if path.is_file() else 0
            if found != 1:
                return f"{edit.file} has this text {found} times, not once:\n{edit.old}"
        for test in self.tests:
            file, _, function = test.partition("::")
            path, function = root / file, function.partition("[")[0]
            if not path.is_file() or f"def {function}" not in path.read_text():
                return f"there is no test {test}"
        return None


def product(file: str, old: str, new: str) -> Edit:
    """Return an edit of a file of the package `reco`."""
    return Edit(f"operator/reco/{file}", old, new)
