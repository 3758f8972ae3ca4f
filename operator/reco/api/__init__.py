"""What users write and read: one module per kind, and the CRDs rendered from them."""
