"""A real one-node Kubernetes cluster without Docker: pods, services, DNS, metrics; ready in 6 s.

The node runs in network, mount, process, IPC and host name namespaces of its own, so nothing of
the host changes, and it is gone without a trace at its end, also when its parent is killed. Tests
reach pods and services at their addresses; pods reach servers of the host at ``host_address``.

Not there: enforced NetworkPolicy, dynamic volumes (there is a number of claimable ones), load
balancers, the internet.

``uv run python -m hack.node`` runs one until Ctrl-C.
"""

from hack.node.cluster import NodeCluster, NodeError
from hack.node.host import why_not

__all__ = ["NodeCluster", "NodeError", "why_not"]
