"""The only code that reads and writes users' pictures.

Everything goes through :func:`open_picture` and :func:`write_picture`; what one cannot read whole or
write whole is refused with a :class:`PictureError`. See ``registry.py`` for the formats.
"""

from pipeline.anonymize.images.atomic import is_leftover
from pipeline.anonymize.images.check import check_clean
from pipeline.anonymize.images.files import open_picture, write_picture
from pipeline.anonymize.images.model import AtLeast, Frame, Picture, PictureError, View, WriteResult

__all__ = [
    "AtLeast",
    "Frame",
    "Picture",
    "PictureError",
    "View",
    "WriteResult",
    "check_clean",
    "is_leftover",
    "open_picture",
    "write_picture",
]
