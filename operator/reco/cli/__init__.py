"""The reco command."""
