"""Imports every descriptor module, so that the registries are full. One line a connector or format family."""

from . import (
    descriptors_files,
    descriptors_formats,
    descriptors_in_process,
    descriptors_jdbc,
    descriptors_kafka,
)

__all__ = [
    "descriptors_files",
    "descriptors_formats",
    "descriptors_in_process",
    "descriptors_jdbc",
    "descriptors_kafka",
]
