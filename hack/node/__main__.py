"""Runs a node until Ctrl-C: ``uv run python -m hack.node``."""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Event

from hack.cache import AssetError, say_with_seconds
from hack.node import NodeCluster, why_not
from hack.node.cluster import prepare
from hack.processes import ProcessError, heed_signals


def main() -> int:
    """Run a node until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="Run a one-node cluster until Ctrl-C.")
    parser.add_argument("--dir", type=Path, help="data, logs, kubeconfig (default: temporary)")
    parser.add_argument("--image", type=Path, action="append", default=[], help="archive to load")
    parser.add_argument("--prepare", action="store_true", help="only install and build; then end")
    options = parser.parse_args()
    heed_signals()
    try:
        if reason := why_not():
            print(f"error: {reason}", file=sys.stderr)
            return 1
        prepare(say_with_seconds())
        if not options.prepare:
            run(options.dir, options.image)
    except KeyboardInterrupt:
        print("stopped")
    except (AssetError, ProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(directory: Path | None, images: list[Path]) -> None:
    """Run one, and say how to reach it."""
    with ExitStack() as stack:
        directory = directory or Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="reco-node-", ignore_cleanup_errors=True)
            )
        )
        started = time.monotonic()
        with NodeCluster(directory, images) as node:
            print(f"ready after {time.monotonic() - started:.1f} s at {node.server}")
            print(f"  export KUBECONFIG={node.kubeconfig}")
            print(f"  alias kubectl={node.program('kubectl')}")
            print("  kubectl get pods --all-namespaces")
            print(f"pods reach this host at {node.host_address}, this host reaches pods at theirs")
            print(f"logs: {node.directory / 'logs'}; Ctrl-C ends it", flush=True)
            Event().wait()


if __name__ == "__main__":
    sys.exit(main())
