"""The data plane: the runtime and events APIs over HTTP, from a model and an online store.

Knows nothing of Kubernetes or of the operator; what it is told comes as a `reco.workload` task.
"""
