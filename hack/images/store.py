"""Where finished images are kept, and by what they are told from each other: their content."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.cache import Say, cache_root, installing, lock

ROOT: Final = Path(__file__).resolve().parents[2]
KEPT: Final = 3  # archives of each image; older ones are removed


@dataclass(frozen=True, slots=True)
class Image:
    """An image in an archive: what pods call it, and what a node loads."""

    reference: str
    archive: Path


def stored(name: str, key: str, build: Callable[[Image], None], say: Say) -> Image:
    """Return the image ``name`` with the content that ``key`` stands for.

    Unless it is there, ``build`` is called with the image and the archive that it must write. A
    second caller waits for the first.
    """
    folder = cache_root() / "images"
    image = Image(f"localhost/{name}:{key}", folder / f"{name}-{key}.tar")
    with lock(folder, say):
        if not image.archive.exists():
            say(f"building image {image.reference}")
            with installing(image.archive) as partial:
                build(Image(image.reference, partial))
            by_age = sorted(folder.glob(f"{name}-*.tar"), key=lambda path: -path.stat().st_mtime)
            for path in by_age[KEPT:]:
                path.unlink()
    return image


def digest(*groups: Iterable[Path | str]) -> str:
    """Return a short hash of words, files, and all files in folders, by content."""
    total = hashlib.sha256()
    for group in groups:
        for item in group:
            if isinstance(item, str):
                total.update(item.encode() + b"\0")
                continue
            files = sorted(item.rglob("*")) if item.is_dir() else [item]
            for file in files:
                if file.is_file() and "__pycache__" not in file.parts:
                    total.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes() + b"\0")
    return total.hexdigest()[:16]
