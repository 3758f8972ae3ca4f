"""The models: train, score and evaluate with numpy and scipy alone."""
