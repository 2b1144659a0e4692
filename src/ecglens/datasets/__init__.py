"""Labelled ECG collections in one shape."""

from ecglens.datasets.index import Dataset, Exam, open_dataset

__all__ = ["Dataset", "Exam", "open_dataset"]
