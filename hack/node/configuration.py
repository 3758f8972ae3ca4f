"""What each program of the node is told: command lines and configuration files, as values.

Nothing here touches the host. What is unusual says why; the rest is what any installer sets.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from hack.kube_access import Files
from hack.node.layout import NODE_NAME, Layout

PAUSE_IMAGE: Final = "localhost/pause:1"
CONTAINERD_SOCKET: Final = "/run/containerd/containerd.sock"
API_PORT: Final = 6443
METRICS_PORT: Final = 4443
CNI_PROGRAMS: Final = "/usr/lib/cni"
# Users of the API beside the administrator, with their groups.
USERS: Final[Mapping[str, tuple[str, ...]]] = {
    "system:kube-controller-manager": (),
    "system:kube-scheduler": (),
    f"system:node:{NODE_NAME}": ("system:nodes",),
    "system:kube-proxy": (),
    "coredns": (),
    "metrics-server": (),
}


def configuration_files(layout: Layout, files: Files) -> dict[str, str]:
    """Return the content of each configuration file, by its name in the folder."""
    kubelet = json.dumps(_kubelet(layout, files), indent=2)
    proxy = json.dumps(_kube_proxy(layout, files), indent=2)
    return {
        "containerd.toml": _CONTAINERD.format(
            folder=files.configuration, programs=CNI_PROGRAMS, pause=PAUSE_IMAGE
        ),
        "cni/10-bridge.conflist": json.dumps(_cni(layout), indent=2),
        "kubelet.json": kubelet,
        "kube-proxy.json": proxy,
        "Corefile": _COREFILE.format(
            address=layout.node_address, kubeconfig=files.kubeconfig("coredns")
        ),
        "resolv.conf": "",  # the host's servers are nothing for pods
    }


def commands(layout: Layout, files: Files) -> dict[str, list[str]]:
    """Return the arguments of each program, in the order of their start."""
    certificates, configuration = files.certificates, files.configuration

    def user(name: str, *flags: str) -> list[str]:
        return [f"--{flag}={files.kubeconfig(name)}" for flag in ("kubeconfig", *flags)]

    delegated = ("authentication-kubeconfig", "authorization-kubeconfig")
    return {
        "containerd": [f"--config={configuration / 'containerd.toml'}"],
        "etcd": [
            f"--data-dir={files.directory / 'etcd'}",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",  # lives no longer than the node
            "--log-level=warn",
        ],
        "kube-apiserver": [
            "--etcd-servers=http://127.0.0.1:2379",
            f"--bind-address={layout.node_address}",
            f"--advertise-address={layout.node_address}",
            f"--secure-port={API_PORT}",
            f"--tls-cert-file={certificates / 'apiserver.crt'}",
            f"--tls-private-key-file={certificates / 'apiserver.key'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--token-auth-file={files.tokens}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={files.service_account_key}",
            f"--service-account-signing-key-file={files.service_account_key}",
            f"--service-cluster-ip-range={layout.service_network}",
            f"--kubelet-client-certificate={certificates / 'kubelet-client.crt'}",
            f"--kubelet-client-key={certificates / 'kubelet-client.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            # For API servers behind this one, such as metrics-server.
            f"--requestheader-client-ca-file={files.authority}",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={certificates / 'front-proxy.crt'}",
            f"--proxy-client-key-file={certificates / 'front-proxy.key'}",
            "--enable-aggregator-routing=true",
            "--profiling=false",
            "--shutdown-watch-termination-grace-period=1s",
        ],
        "kube-controller-manager": [
            *user("system:kube-controller-manager", *delegated),
            f"--service-account-private-key-file={files.service_account_key}",
            f"--root-ca-file={files.authority}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            # A test should not wait until a node counts as silent after 50 s, nor for an autoscaler
            # that looks every 15 s and believes nothing of a pod's first 5 minutes.
            "--node-monitor-grace-period=30s",
            "--horizontal-pod-autoscaler-sync-period=2s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=5s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=2s",
        ],
        "kube-scheduler": [
            *user("system:kube-scheduler", *delegated),
            "--leader-elect=false",
        ],
        "kubelet": [
            *user(f"system:node:{NODE_NAME}"),
            f"--config={configuration / 'kubelet.json'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={layout.node_address}",
            "--housekeeping-interval=2s",  # what a pod uses is measured this often
        ],
        "kube-proxy": [f"--config={configuration / 'kube-proxy.json'}"],
        "coredns": [f"-conf={configuration / 'Corefile'}"],
        "metrics-server": [
            *user("metrics-server", *delegated),
            f"--bind-address={layout.node_address}",
            f"--secure-port={METRICS_PORT}",
            f"--cert-dir={certificates / 'metrics-server'}",
            "--kubelet-insecure-tls",
            "--kubelet-preferred-address-types=InternalIP",
            "--metric-resolution=10s",  # the least that it allows, and more than the next
            "--kubelet-request-timeout=5s",
        ],
    }


# In runc's words "can't get final child's PID from pipe: EOF" is what the last setting prevents,
# where the capability SYS_RESOURCE is missing.
_CONTAINERD: Final = """\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{programs}"
  conf_dir = "{folder}/cni"
"""

_COREFILE: Final = """\
cluster.local:53 10.in-addr.arpa:53 {{
    bind {address}
    errors
    kubernetes cluster.local 10.in-addr.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 5
    }}
}}
.:53 {{
    bind {address}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def _cni(layout: Layout) -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": layout.pod_network}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "bridge", "plugins": [bridge, portmap]}


def _kubelet(layout: Layout, files: Files) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.node_address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(files.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [layout.node_address],
        "clusterDomain": "cluster.local",
        "resolvConf": str(files.configuration / "resolv.conf"),
        "oomScoreAdj": 0,  # lower needs the capability SYS_RESOURCE
        "nodeStatusUpdateFrequency": "4s",  # several times in what makes a node count as silent
        # A host that is rather full is no reason to throw a test's pods out.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def _kube_proxy(layout: Layout, files: Files) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "bindAddress": layout.node_address,
        "hostnameOverride": NODE_NAME,
        "clusterCIDR": layout.pod_network,
        "clientConnection": {"kubeconfig": str(files.kubeconfig("system:kube-proxy"))},
        "oomScoreAdj": 0,
        # These are the whole host's, and not writable from here.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
