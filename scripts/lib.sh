# shellcheck shell=bash
# What all scripts share: stand in the project, and have uv and the locked environment.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

# pip alone needs minutes to resolve these dependencies; uv takes seconds.
if ! command -v uv >/dev/null 2>&1; then
    say "installing uv"
    if ! python3 -m pip install --quiet --user --break-system-packages uv 2>/dev/null; then
        python3 -m venv "${XDG_CACHE_HOME:-$HOME/.cache}/reco/uv"
        "${XDG_CACHE_HOME:-$HOME/.cache}/reco/uv/bin/pip" install --quiet uv
    fi
    PATH="$HOME/.local/bin:${XDG_CACHE_HOME:-$HOME/.cache}/reco/uv/bin:$PATH"
fi

say "installing the locked environment"
uv sync --quiet --locked --all-extras
