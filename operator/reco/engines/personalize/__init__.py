"""The Amazon Personalize engine."""
