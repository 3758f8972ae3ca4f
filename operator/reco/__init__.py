"""Recommendations as Kubernetes resources, on Amazon Personalize or in the cluster."""
