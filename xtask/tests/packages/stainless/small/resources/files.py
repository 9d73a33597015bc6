# File generated from our OpenAPI spec by Stainless. See CONTRIBUTING.md for details.

from __future__ import annotations

import typing_extensions
from typing import Mapping, cast

from .. import _legacy_response
from ..types import file_create_params
from .._utils import extract_files, path_template, maybe_transform, deepcopy_minimal
from .._resource import SyncAPIResource
from ..types.file_object import FileObject
from .._base_client import make_request_options


class Files(SyncAPIResource):
    def create(self, *, file: FileTypes, purpose: Literal["batch"]) -> FileObject:
        """Upload a file of up to 10 MB."""
        body = deepcopy_minimal(
            {
                "file": file,
                "purpose": purpose,
            }
        )
        files = extract_files(cast(Mapping[str, object], body), paths=[["file"]])
        if files:
            extra_headers = {"Content-Type": "multipart/form-data", **(extra_headers or {})}
        return self._post(
            "/files",
            body=maybe_transform(body, file_create_params.FileCreateParams),
            files=files,
            options=make_request_options(extra_headers=extra_headers),
            cast_to=FileObject,
        )

    def content(self, file_id: str) -> _legacy_response.HttpxBinaryResponseContent:
        """Returns the contents of a file."""
        extra_headers = {"Accept": "application/binary", **(extra_headers or {})}
        return self._get(
            path_template("/files/{file_id}/content", file_id=file_id),
            options=make_request_options(extra_headers=extra_headers),
            cast_to=_legacy_response.HttpxBinaryResponseContent,
        )

    @typing_extensions.deprecated("The `.content()` method should be used instead")
    def retrieve_content(self, file_id: str) -> str:
        """Returns the contents of a file."""
        return self._get(
            f"/files/{file_id}/content",
            options=make_request_options(extra_headers=extra_headers),
            cast_to=str,
        )
