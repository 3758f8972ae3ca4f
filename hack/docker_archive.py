"""Writes container images as archives that `docker load` and `ctr images import` read.

Enough for images of a few static files; the project's own are built from its Dockerfile
(`hack.images`).
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hack.cache import host_platform


def write(
    archive: Path, reference: str, files: Mapping[str, Path], *, entrypoint: Sequence[str]
) -> None:
    """Write an image of one layer to ``archive``.

    Args:
        archive: where to.
        reference: name and tag, such as ``localhost/pause:1``.
        files: what each path in the image, without leading slash, is copied from.
        entrypoint: what runs.
    """
    layer = _tar({name: path.read_bytes() for name, path in files.items()}, mode=0o755)
    system, architecture = host_platform()
    config = json.dumps(
        {
            "architecture": architecture,
            "os": system,
            "config": {"Entrypoint": list(entrypoint), "User": "65535:65535"},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"],
            },
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": ["layer.tar"]}]
    archive.write_bytes(
        _tar(
            {
                config_name: config,
                "layer.tar": layer,
                "manifest.json": json.dumps(manifest).encode(),
            },
            mode=0o644,
        )
    )


def _tar(files: Mapping[str, bytes], *, mode: int) -> bytes:
    """Return a tar of ``files`` that is the same for the same content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
