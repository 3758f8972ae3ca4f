"""The place of one node on the host: its addresses, links, cgroups, kinds of namespaces.

Several places, one a node.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

PLACES: Final = 16
NODE_NAME: Final = "node"
CGROUPS: Final = Path("/sys/fs/cgroup")
# What a node has of its own, in the words of unshare and nsenter, and how a command gets all that.
NAMESPACES: Final = ("--mount", "--net", "--pid", "--ipc", "--uts")
UNSHARE: Final = ("unshare", *NAMESPACES, "--fork", "--mount-proc")


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything that two nodes on one host must not share, by the number of the place."""

    number: int

    @property
    def host_address(self) -> str:
        """Address of the host's end of the link: pods reach servers of the host here."""
        return f"10.213.{self.number}.1"

    @property
    def node_address(self) -> str:
        """Address of the node: of its API, its kubelet, its DNS."""
        return f"10.213.{self.number}.2"

    @property
    def link_network(self) -> str:
        """Network of the two addresses above."""
        return f"10.213.{self.number}.0/30"

    @property
    def pod_network(self) -> str:
        """Network of the pods; the host has a route to it."""
        return f"10.214.{self.number}.0/24"

    @property
    def service_network(self) -> str:
        """Network of the services' cluster addresses; the host has a route to it."""
        return f"10.215.{self.number}.0/24"

    @property
    def api_service_address(self) -> str:
        """Cluster address of the API itself, always the first."""
        return f"10.215.{self.number}.1"

    @property
    def link(self) -> str:
        """Name of the host's end of the link."""
        return f"reco-node{self.number}"

    @property
    def cgroup(self) -> str:
        """Folder of the node's pods in each cgroup hierarchy."""
        return f"reco-node{self.number}"

    @property
    def networks(self) -> tuple[str, ...]:
        """All networks of the node."""
        return (self.link_network, self.pod_network, self.service_network)
