"""Builds the targets of the project's Dockerfile, by Docker where it runs, else by buildah.

``RECO_BASE_IMAGE`` names a base image to build on, from a registry or, for buildah, from a file.
Left out, Docker builds on the Dockerfile's own; buildah on this machine, which needs no network.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

from hack.cache import AssetError, Say, say_with_seconds
from hack.commands import run
from hack.images.base import MOUNTS, this_machine
from hack.images.buildah import Buildah
from hack.images.store import ROOT, Image, digest, stored

Target = Literal["operator", "engine"]
# What the Dockerfile takes from the project.
SOURCES: Final = (
    "Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "README.md", "LICENSE",
    "hack/root_folder.py", "hack/slim.py", "operator",
)  # fmt: skip


def project_image(target: Target, say: Say | None = None) -> Image:
    """Return the image of a target, built unless it is there.

    Raises:
        AssetError: it can't be built; the text holds the end of what the build wrote.
    """
    say = say or say_with_seconds()
    base = os.environ.get("RECO_BASE_IMAGE", "")

    def build(image: Image) -> None:
        if has_docker():
            _by_docker(target, image, base)
        else:
            _by_buildah(target, image, base, say)

    key = digest([base or sys.version], [ROOT / name for name in SOURCES])
    return stored(f"reco-{target}", key, build, say)


def has_docker() -> bool:
    """Return whether a Docker daemon answers."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _by_docker(target: Target, image: Image, base: str) -> None:
    options = ["--build-arg", f"BASE_IMAGE={base}"] if base else []
    run(["docker", "build", *options, "--target", target, "--tag", image.reference, str(ROOT)])
    run(["docker", "save", "--output", str(image.archive), image.reference])


def _by_buildah(target: Target, image: Image, base: str, say: Say) -> None:
    uv = shutil.which("uv")
    if uv is None:
        raise AssetError("building an image needs uv on PATH; the project's scripts install it")
    cache = run([uv, "cache", "dir"]).strip()
    with Buildah(say) as buildah, tempfile.TemporaryDirectory(prefix="reco-image-") as tools:
        shutil.copy2(Path(uv).resolve(), Path(tools) / "uv")
        on_this_machine: tuple[str, ...] = ()
        if not base:
            base = this_machine(buildah, say)
            _fill_uv_cache(uv, target)
            on_this_machine = (*MOUNTS, "--build-arg=UV_OFFLINE=1")
        options = (
            "--isolation", "chroot", "--network", "host", "--layers",
            "--build-arg", f"BASE_IMAGE={base}",
            *on_this_machine,
            "--volume", f"{tools}:/opt/build-tools:ro",
            "--volume", f"{cache}:/root/.cache/uv",
            "--ignorefile", str(ROOT / ".dockerignore"),
        )  # fmt: skip
        # What changes rarely gets names too, so that its layers stay for the next build.
        environment = f"{target}-environment"
        names = {"root": "localhost/root", environment: f"localhost/{environment}"}
        for stage, name in (names | {target: image.reference}).items():
            buildah("build", *options, "--target", stage, "--tag", name, str(ROOT))
        buildah.push(image)


def _fill_uv_cache(uv: str, target: Target) -> None:
    """Have uv fetch all that the build will ask for, which it then finds without a network."""
    with tempfile.TemporaryDirectory(prefix="reco-image-") as folder:
        command = [uv, "sync", "--quiet", "--locked", "--no-dev", "--no-editable"]
        python = f"{sys.base_prefix}/bin/python3"
        environment = {"UV_PROJECT_ENVIRONMENT": folder, "UV_PYTHON": python}
        run([*command, "--extra", target], cwd=ROOT, env=environment)
