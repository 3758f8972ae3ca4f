"""What the operator and the pods it starts agree on, and nothing else.

The in-cluster engine renders Jobs and Deployments; `jobs` and `serving` are what runs inside them.
They meet in the models here: tasks (what a pod is told, in the environment), results (what a Job
leaves behind), places (where things lie in storage) and addresses (where pods answer). Imports
nothing of reco's, so neither side can lean on the other.
"""
