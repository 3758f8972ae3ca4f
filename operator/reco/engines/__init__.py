"""The port to what carries recommendations out, and its drivers."""
