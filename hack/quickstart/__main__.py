"""The command: see `scripts/quickstart --help`."""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Event

from hack import quickstart
from hack.cache import AssetError
from hack.processes import ProcessError, heed_signals
from hack.quickstart import application, in_cluster, personalize
from hack.quickstart.estate import Estate
from hack.quickstart.screen import console, wait_until_ready

ENGINES = {"personalize": personalize.start, "in-cluster": in_cluster.start}


def main() -> int:
    """Run the quickstart and return the exit code."""
    parser = argparse.ArgumentParser(description=quickstart.__doc__)
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="personalize",
        help="personalize: the emulator (default); in-cluster: real pods on a one-node cluster",
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument("--dir", type=Path, help="where logs and state go (default: temporary)")
    options = parser.parse_args()
    heed_signals()
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            folder = options.dir or Path(
                stack.enter_context(
                    tempfile.TemporaryDirectory(
                        prefix="reco-quickstart-", ignore_cleanup_errors=True
                    )
                )
            )
            estate = ENGINES[options.engine](stack, folder.resolve())
            run(estate)
            console.print(f"\n[green]Done in {time.monotonic() - started:.0f} s.[/green]")
            if options.keep:
                explain(estate, folder)
                Event().wait()
    except KeyboardInterrupt:
        console.print("\nStopped; everything that was started is gone.")
        return 130
    except (AssetError, ProcessError) as error:
        console.print(f"[red]error:[/red] {error}", highlight=False)
        return 1
    return 0


def run(estate: Estate) -> None:
    """Apply the manifests, wait for the campaign, ask it, and tell it something."""
    estate.apply()
    wait_until_ready(estate.cluster.kubectl)
    console.print("\n[bold]$ kubectl get reco[/bold]")
    console.print(estate.cluster.kubectl("get", "reco").rstrip(), highlight=False, soft_wrap=True)
    application.recommend(estate)


def explain(estate: Estate, folder: Path) -> None:
    """Say how to look around in what was left running."""
    console.print(
        f"""
Everything goes on running until Ctrl-C. In another terminal:

  export KUBECONFIG={estate.cluster.kubeconfig}
  export AWS_ACCESS_KEY_ID=quickstart AWS_SECRET_ACCESS_KEY=quickstart AWS_DEFAULT_REGION=eu-west-1
  {estate.cluster.program("kubectl")} get reco
{estate.hints(estate)}

Logs: {folder}""",
        highlight=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main())
