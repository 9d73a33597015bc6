# File generated from our OpenAPI spec by Stainless. See CONTRIBUTING.md for details.

from .._models import BaseModel


class FileObject(BaseModel):
    id: str

    bytes: int
