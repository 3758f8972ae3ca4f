"""``reco emulate``: an Amazon Personalize on this machine."""

import argparse
import logging
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reco.emulator.kinds import KINDS, PHASES
from reco.emulator.server import ServerSettings, serve
from reco.emulator.state import StateError
from reco.emulator.world import Settings

_ACCOUNT_DIGITS = 12


def add_parser(subparsers: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse names no public type for it
    """Add the command and its options."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "emulate", help="serve an emulation of Amazon Personalize over HTTP", description=__doc__
    )
    parser.add_argument(
        "--listen",
        type=_address,
        default=("127.0.0.1", 9010),
        metavar="HOST:PORT",
        help="where to serve all three services (default 127.0.0.1:9010; port 0 takes a free one)",
    )
    parser.add_argument(
        "--state", default=":memory:", metavar="FILE", help="SQLite file (default: in memory)"
    )
    parser.add_argument(
        "--artifacts", type=Path, metavar="DIR", help="trained models (default: beside the state)"
    )
    parser.add_argument(
        "--time-scale",
        type=_not_negative,
        default=1.0,
        metavar="X",
        help="virtual seconds per second (default 1; 0 moves only by POST /_reco/clock)",
    )
    parser.add_argument(
        "--s3-endpoint", metavar="URL", help="S3 to import from (default: AWS; ambient credentials)"
    )
    parser.add_argument(
        "--account", type=_account, default="000000000000", help="account of callers (12 digits)"
    )
    parser.add_argument(
        "--duration",
        type=_pair(float),
        action="append",
        default=[],
        metavar="WHAT=SECONDS",
        help=f"virtual duration of a transition, repeatable; WHAT: {', '.join(PHASES)}",
    )
    parser.add_argument(
        "--quota",
        type=_pair(int),
        action="append",
        default=[],
        metavar="KIND=N",
        help=f"replaces a quota, repeatable; KIND: {', '.join(KINDS)}",
    )
    parser.add_argument(
        "--solution-version-duplicate-names",
        choices=("accept", "refuse"),
        default="refuse",
        help="what CreateSolutionVersion does with a name that the solution has already",
    )
    parser.add_argument(
        "--list-lag",
        type=_not_negative,
        default=0.0,
        metavar="SECONDS",
        help="virtual seconds for which new resources stay out of lists",
    )
    parser.add_argument(
        "--page-size", type=int, default=100, metavar="N", help="bound of list pages (default 100)"
    )
    parser.add_argument(
        "--allowed-origin",
        type=_origin,
        action="append",
        default=[],
        metavar="ORIGIN",
        help="web pages that may call from browsers (CORS), such as http://localhost:3000, or '*' "
        "for any; repeatable",
    )
    parser.add_argument("--seed", type=int, help="makes ids and trainings repeatable")
    return parser


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    host, port = args.listen
    try:
        emulator = Settings(
            account=args.account,
            refuse_repeated_version_names=args.solution_version_duplicate_names == "refuse",
            list_lag=args.list_lag,
            page_size=args.page_size,
            durations=dict(args.duration),
            quotas=dict(args.quota),
        )
        serve(
            ServerSettings(
                host=host,
                port=port,
                state=args.state,
                scale=args.time_scale,
                s3_endpoint=args.s3_endpoint,
                artifacts=args.artifacts,
                seed=args.seed,
                origins=tuple(args.allowed_origin),
                emulator=emulator,
            ),
            on_ready=_announce,
        )
    except (ValueError, OSError, StateError) as error:
        sys.stderr.write(f"reco emulate: {error}\n")
        return 2
    return 0


def _announce(url: str) -> None:
    sys.stdout.write(f"Emulating Amazon Personalize at {url}\n")
    sys.stdout.flush()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"must be HOST:PORT, not {text!r}")
    return host, int(port)


def _origin(text: str) -> str:
    if not re.fullmatch(r"\*|https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", text):
        raise argparse.ArgumentTypeError(f"must be '*' or scheme://host[:port], not {text!r}")
    return text


def _account(text: str) -> str:
    if len(text) != _ACCOUNT_DIGITS or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be {_ACCOUNT_DIGITS} digits, not {text!r}")
    return text


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {text}")
    return value


def _pair(number: Callable[[str], float]) -> Callable[[str], tuple[str, float]]:
    def parse(text: str) -> tuple[str, float]:
        name, _, value = text.partition("=")
        try:
            return name, number(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"must be NAME=NUMBER, not {text!r}") from error

    return parse
