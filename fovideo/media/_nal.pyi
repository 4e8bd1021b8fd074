from typing import Final

from typing_extensions import Buffer

HARDWARE_CRC32C: Final[bool]
"""Whether crc32c uses the processor's instruction."""

def xxh64(data: Buffer) -> int:
    """XXH64, seed 0."""

def crc32c(data: Buffer, crc: int = 0) -> int:
    """CRC-32C of data that follows bytes whose CRC-32C is `crc`."""

def crc32c_software(data: Buffer, crc: int = 0) -> int:
    """The same without the processor's instruction."""

def store_form(data: Buffer, packing: int, length_size: int = 4) -> tuple[bytes, int, int]:
    """Sample, digest and FrameFlag bits of a packet. ValueError for a packing or length that does not exist."""

def to_annexb(sample: Buffer) -> bytes:
    """Annex B form of a sample, with 4-byte start codes."""

def digest(sample: Buffer, h265: bool) -> int:
    """XXH64 over the VCL NAL units of a sample with their lengths."""

def flags(sample: Buffer, h265: bool) -> int:
    """FrameFlag bits KEY, PARAMS and CORRUPT of a sample."""

def has_only(sample: Buffer, h265: bool, sets: tuple[bytes, ...]) -> bool:
    """Whether each VPS, SPS and PPS of a sample is one of these."""

def nal_spans(sample: Buffer, length_size: int = 4) -> list[tuple[int, int]]:
    """Offset and size of every NAL unit; length_size 0 reads Annex B."""
