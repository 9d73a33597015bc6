# File generated from our OpenAPI spec by Stainless. See CONTRIBUTING.md for details.

from __future__ import annotations

from typing import Dict, Optional
from typing_extensions import Literal, Required, TypedDict

from .shared.metadata import Metadata

__all__ = ["BatchCreateParams", "ExpiresAfter"]


class BatchCreateParams(TypedDict, total=False):
    kind: Required[Literal["chat", "embeddings"]]
    """What it is."""

    input_file_id: Required[str]

    metadata: Optional[Metadata]

    expires_after: ExpiresAfter


class ExpiresAfter(TypedDict, total=False):
    anchor: Required[Literal["created_at"]]

    seconds: Required[int]
    """Between 3600 and 2592000."""
