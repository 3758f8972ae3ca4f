"""What the Kubernetes API answers when it refuses, by what that means for us."""


class StoreError(Exception):
    """The Kubernetes API refused or failed a request. Subclasses say what that means for us."""


class StoreConflict(StoreError):  # noqa: N818 - named after what the API answers
    """The resource changed since it was read: look again."""


class StoreNotFound(StoreError):  # noqa: N818 - as above
    """There is no such resource, or its namespace is gone."""


class StoreExists(StoreError):  # noqa: N818 - as above
    """A resource of that name exists already."""


class StoreForbidden(StoreError):  # noqa: N818 - as above
    """The operator lacks a permission, or the API no longer knows it."""


class StoreInvalid(StoreError):  # noqa: N818 - as above
    """The API can't accept the request: it breaks the schema or a rule of the CRD."""


class StoreUnavailable(StoreError):  # noqa: N818 - as above
    """The API could not be reached or is overloaded; a write may have been carried out."""
