"""Which quality setting a lossy WebP was made with, by the quantiser in its header (RFC 6386, 9 and 19.2)."""

from __future__ import annotations

from pipeline.anonymize.images.webp_chunks import Bitstream

_ABOVE = 4  # a second coding at the same quality costs more than it need; a little above keeps the rest
_DEFAULT = 90


class _BoolDecoder:
    """The arithmetic decoder of RFC 6386, 7.3."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 2
        self.value, self.range, self.bits = int.from_bytes(data[:2], "big"), 255, 0

    def flag(self, probability: int = 128) -> int:
        split = 1 + ((self.range - 1) * probability >> 8)
        bit = int(self.value >= split << 8)
        if bit:
            self.range -= split
            self.value -= split << 8
        else:
            self.range = split
        while self.range < 128:
            self.value <<= 1
            self.range <<= 1
            self.bits += 1
            if self.bits == 8:
                self.bits = 0
                self.value |= self.data[self.at]
                self.at += 1
        return bit

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | self.flag()
        return value

    def optional(self, bits: int) -> int | None:
        """A signed number behind a flag."""
        if not self.flag():
            return None
        value = self.number(bits)
        return -value if self.flag() else value


def quality_of(picture: Bitstream) -> int:
    """libwebp's quality, 0 to 100, a little above what the finest quantiser in use stands for."""
    body = next(body for name, body in picture.chunks if name == b"VP8 ")
    try:
        index = _quantiser(_BoolDecoder(body[10:]))
    except IndexError:
        return _DEFAULT
    linear = (1 - min(index, 127) / 127) ** 3  # the inverse of libwebp's QualityToCompression
    compression = linear * 1.5 if linear < 0.5 else (linear + 1) / 2
    return min(100, round(100 * compression) + _ABOVE)


def _quantiser(header: _BoolDecoder) -> int:
    """The finest base quantiser index, 0 to 127."""
    header.number(2)  # colour space, clamping
    segments: list[int | None] = []
    absolute = 0
    if header.flag():
        update_map, update_data = header.flag(), header.flag()
        if update_data:
            absolute = header.flag()
            segments = [header.optional(7) for _ in range(4)]
            for _ in range(4):
                header.optional(6)
        if update_map:
            for _ in range(3):
                if header.flag():
                    header.number(8)
    header.number(1 + 6 + 3)  # loop filter
    if header.flag() and header.flag():
        for _ in range(8):
            header.optional(6)
    header.number(2)  # partitions
    base = header.number(7)
    used = [(0 if absolute else base) + (value or 0) for value in segments] or [base]
    return max(0, min(used))
