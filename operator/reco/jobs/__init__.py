"""What runs inside Jobs: imports and trainings, and the files that they leave in storage.

Knows nothing of Kubernetes or of the operator; what it is told comes as a `reco.workload` task.
"""
