from .greet import subtract, welcome  # noqa: F401
