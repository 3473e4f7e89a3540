"""Our layers are imported before Keras, so that the backend is the one that they choose."""

import bothways.layers  # noqa: F401
