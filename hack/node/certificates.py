"""The keys and certificates of one node, by openssl: an authority and what it signs."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from hack.node.layout import Layout


def write_certificates(folder: Path, layout: Layout) -> None:
    """Write the authority ``ca``, and ``apiserver``, ``kubelet-client`` and ``front-proxy``.

    Each is a pair of files, ``.crt`` and ``.key``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # openssl's own settings make it an authority; Python from 3.13 on wants to read what for.
    _openssl(folder, "ca", "/CN=reco-node", {"keyUsage": "critical,keyCertSign,cRLSign"})
    service = "kubernetes.default.svc"
    names = ["localhost", "kubernetes", "kubernetes.default", service, f"{service}.cluster.local"]
    addresses = ["127.0.0.1", layout.node_address, layout.api_service_address]
    alternatives = [f"DNS:{name}" for name in names] + [f"IP:{address}" for address in addresses]
    signed = {"basicConstraints": "critical,CA:false"}
    server = signed | {"subjectAltName": ",".join(alternatives), "extendedKeyUsage": "serverAuth"}
    client = signed | {"extendedKeyUsage": "clientAuth"}
    _openssl(folder, "apiserver", "/CN=kube-apiserver", server, signed=True)
    _openssl(folder, "kubelet-client", "/O=system:masters/CN=kube-apiserver", client, signed=True)
    _openssl(folder, "front-proxy", "/CN=front-proxy", client, signed=True)


def _openssl(
    folder: Path, name: str, subject: str, extensions: Mapping[str, str], *, signed: bool = False
) -> None:
    by = ["-CA", "ca.crt", "-CAkey", "ca.key"] if signed else []
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "365", "-subj", subject),
            *("-keyout", f"{name}.key", "-out", f"{name}.crt", *by),
            *(part for item in extensions.items() for part in ("-addext", "=".join(item))),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
