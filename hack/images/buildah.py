"""Runs buildah, which builds images without a daemon."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hack import debian
from hack.cache import Say, cache_root
from hack.commands import run
from hack.images.store import Image

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Buildah:
    """buildah with storage of its own, in the cache, so that layers are built once.

    Use it as a context manager, and one at a time (`hack.images.store.stored` sees to that).
    """

    def __init__(self, say: Say) -> None:
        """Install buildah if it is missing.

        Raises:
            AssetError: that is not possible.
        """
        debian.install({"buildah": "buildah"}, say)
        self._storage = cache_root() / "image-layers"
        self._state = tempfile.TemporaryDirectory(prefix="reco-buildah-")

    def __call__(self, *arguments: str) -> str:
        """Run a command of buildah and return what it prints."""
        storage = ("--root", str(self._storage), "--runroot", self._state.name)
        # It leaves mounts behind, which end with a mount namespace.
        alone = ("unshare", "--mount")
        return run([*alone, "buildah", *storage, "--storage-driver", "overlay", *arguments])

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove what nobody will ask for again: containers, layers of no image, a lock file."""
        self("rm", "--all")
        self("rmi", "--prune")
        folder = Path("/etc/cni/net.d")
        (folder / "cni.lock").unlink(missing_ok=True)
        for path in (folder, folder.parent):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        self._state.cleanup()

    def has(self, reference: str) -> bool:
        """Return whether the storage holds an image."""
        return reference in self("images", "--format", "{{.Name}}:{{.Tag}}").split()

    def commit(self, root: Path, reference: str, settings: Sequence[str] = ()) -> None:
        """Make an image whose whole content is the folder ``root``.

        ``settings`` are options of ``buildah config``.
        """
        container = self("from", "scratch").strip()
        try:
            self("copy", "--quiet", container, str(root), "/")
            self("config", "--env", f"PATH={PATH}", "--env", "LANG=C.UTF-8", *settings, container)
            self("commit", "--quiet", container, reference)
        finally:
            self("rm", container)

    def push(self, image: Image) -> None:
        """Move an image to its archive."""
        archive = f"docker-archive:{image.archive}:{image.reference}"
        self("push", "--quiet", image.reference, archive)
        self("rmi", image.reference)
