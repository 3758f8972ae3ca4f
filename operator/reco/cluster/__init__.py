"""The Kubernetes API as a transport: requests, watches and what refusals mean."""
