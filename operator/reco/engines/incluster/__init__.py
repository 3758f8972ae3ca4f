"""An engine of our own, in the cluster: each kind is a set of Kubernetes objects.

Jobs import and train, Deployments answer and collect events; what they are told and where things
lie is agreed in `reco.workload`.
"""
