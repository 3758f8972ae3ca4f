"""What should happen: pure functions without I/O, clock, kopf or boto3."""
