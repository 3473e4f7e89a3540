"""Models behind HTTP: the Open Inference Protocol, tables, streams and a page for people."""

from bothways.serve.limits import Limits

__all__ = ["Limits"]
