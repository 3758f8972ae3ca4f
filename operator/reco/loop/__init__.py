"""Making it happen: informer, queue, store, reconciler, status, lease, metrics."""
