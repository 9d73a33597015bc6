# File generated from our OpenAPI spec by Stainless. See CONTRIBUTING.md for details.

from __future__ import annotations

import os


class Small:
    def __init__(self, *, base_url: str | None = None) -> None:
        if base_url is None:
            base_url = os.environ.get("SMALL_BASE_URL")
        if base_url is None:
            base_url = f"https://example.org/v1"
