import shutil
import subprocess
from pathlib import Path

import pytest

from hack.node.certificates import write_certificates
from hack.node.layout import Layout


@pytest.mark.skipif(
    not shutil.which("openssl"), reason="a node's host has openssl, others need not"
)
def test_certificates_are_as_strict_readers_want_them(tmp_path: Path) -> None:
    write_certificates(tmp_path, Layout(1))
    for name, purpose in (("apiserver", "sslserver"), ("kubelet-client", "sslclient")):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.crt"]
        subprocess.run([*command, f"{name}.crt"], cwd=tmp_path, check=True, capture_output=True)
