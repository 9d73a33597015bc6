# File generated from our OpenAPI spec by Stainless. See CONTRIBUTING.md for details.

import builtins
from typing import List, Union, Optional
from typing_extensions import Literal

from .._models import BaseModel
from .shared.metadata import Metadata

__all__ = ["Batch", "Errors"]


class Errors(BaseModel):
    data: Optional[List[str]] = None


class Batch(BaseModel):
    """Newer versions say here what it is."""

    id: str

    created_at: int
    """When it was created."""

    object: Literal["batch"]

    status: Literal["running", "done"]

    phase: Union[str, Literal["early", "late"]]

    errors: Optional[Errors] = None

    ended_at: Optional[int] = None
    """When it ended.

    At most 24 hours later.
    """

    extra: Optional[builtins.object] = None

    metadata: Optional[Metadata] = None
