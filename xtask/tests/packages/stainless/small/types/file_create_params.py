# File generated from our OpenAPI spec by Stainless. See CONTRIBUTING.md for details.

from __future__ import annotations

from typing_extensions import Literal, Required, TypedDict

from .._types import FileTypes


class FileCreateParams(TypedDict, total=False):
    file: Required[FileTypes]

    purpose: Required[Literal["batch", "vision"]]
