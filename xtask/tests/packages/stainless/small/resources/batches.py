# File generated from our OpenAPI spec by Stainless. See CONTRIBUTING.md for details.

from __future__ import annotations

from typing import Optional

import httpx

from ..types import batch_list_params, batch_create_params
from .._types import NOT_GIVEN, Body, Query, Headers, NotGiven
from .._utils import maybe_transform
from .._resource import SyncAPIResource, AsyncAPIResource
from ..pagination import SyncCursorPage
from ..types.batch import Batch
from .._base_client import make_request_options

__all__ = ["Batches", "AsyncBatches"]


class Batches(SyncAPIResource):
    @cached_property
    def with_raw_response(self) -> BatchesWithRawResponse:
        return BatchesWithRawResponse(self)

    def create(
        self,
        *,
        input_file_id: str,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | httpx.Timeout | None | NotGiven = NOT_GIVEN,
    ) -> Batch:
        """
        Creates a batch of up to 100 lines

        Args:
          input_file_id: The file.

          extra_headers: Send extra headers
        """
        return self._post(
            "/batches",
            body=maybe_transform(
                {
                    "kind": kind,
                    "input_file_id": input_file_id,
                    "expires_after": expires_after,
                },
                batch_create_params.BatchCreateParams,
            ),
            options=make_request_options(
                extra_headers=extra_headers, extra_query=extra_query, extra_body=extra_body, timeout=timeout
            ),
            cast_to=Batch,
        )

    def retrieve(self, batch_id: str, *, timeout: float | None = None) -> Batch:
        """Retrieves a batch."""
        if not batch_id:
            raise ValueError(f"Expected a non-empty value for `batch_id` but received {batch_id!r}")
        return self._get(
            f"/batches/{batch_id}",
            options=make_request_options(timeout=timeout),
            cast_to=Batch,
        )

    def list(self, *, after: str | NotGiven = NOT_GIVEN) -> SyncCursorPage[Batch]:
        """List your batches."""
        return self._get_api_list(
            "/batches",
            page=SyncCursorPage[Batch],
            options=make_request_options(
                extra_headers=extra_headers,
                timeout=timeout,
                query=maybe_transform(
                    {
                        "after": after,
                        "limit": limit,
                    },
                    batch_list_params.BatchListParams,
                ),
                security={"bearer_auth": True},
            ),
            model=Batch,
        )

    def wait(self, batch_id: str) -> Batch:
        """Not an operation."""
        while True:
            batch = self.retrieve(batch_id)


class AsyncBatches(AsyncAPIResource):
    async def create(self) -> Batch:
        """What is said here counts for nothing."""
        return await self._post("/batches", cast_to=Batch)
