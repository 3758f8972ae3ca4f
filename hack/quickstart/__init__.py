"""From manifests to recommendations on one machine: what `scripts/quickstart` runs.

Starts a real Kubernetes API, an S3, the engine and the operator, applies `examples/quickstart/`,
shows what each resource waits for, and calls the campaign as an application would.
"""
