"""The version of the package. Build tools read it from this file, without importing the package."""

__version__ = "0.1.0"
