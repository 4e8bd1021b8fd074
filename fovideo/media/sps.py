"""Sequence parameter sets of H.264 and H.265: just what a container must say about the pictures."""

from __future__ import annotations

from typing import NamedTuple

from fovideo.errors import UnsupportedStream
from fovideo.media.codec import Codec

_H264_WITH_CHROMA = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_LARGEST_SIDE = 1 << 16


class SpsInfo(NamedTuple):
    """Facts of one SPS.

    width, height: of the shown picture, in luma samples (after cropping).
    chroma_format: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4. luma_bits, chroma_bits: 8 to 16.
    profile: H.264: profile_idc, constraint flags, level_idc (3 bytes); H.265: general profile, compatibility,
        constraint and level (12 bytes), as avcC and hvcC want them.
    reorder_frames: how many pictures can precede one in decoding that is shown before them; None = not said.
    temporal_layers, temporal_nesting: H.265 only.
    """

    width: int
    height: int
    chroma_format: int
    luma_bits: int
    chroma_bits: int
    profile: bytes
    reorder_frames: int | None
    temporal_layers: int = 1
    temporal_nesting: int = 1


def video_size(codec: Codec, parameter_sets: tuple[bytes, ...]) -> tuple[int, int]:
    """Width and height of the shown picture, by the first SPS. UnsupportedStream where none can be read."""
    info = parse(codec, parameter_sets)
    return info.width, info.height


def parse(codec: Codec, parameter_sets: tuple[bytes, ...]) -> SpsInfo:
    """Facts of the first SPS among the parameter sets. UnsupportedStream where none can be read."""
    for unit in parameter_sets:
        if codec is Codec.H264 and unit and unit[0] & 31 == 7:
            return parse_h264(unit)
        if codec is Codec.H265 and unit and unit[0] >> 1 & 63 == 33:
            return parse_h265(unit)
    raise UnsupportedStream("no sequence parameter set")


def parse_h264(unit: bytes) -> SpsInfo:
    """Facts of an H.264 SPS NAL unit (7.3.2.1.1). UnsupportedStream for anything else."""
    if len(unit) < 5 or unit[0] & 31 != 7:
        raise UnsupportedStream("not an H.264 sequence parameter set")
    bits = _Bits(unit[4:])
    chroma, luma_bits, chroma_bits, separate = 1, 8, 8, 0
    bits.ue()  # seq_parameter_set_id
    if unit[1] in _H264_WITH_CHROMA:
        chroma = bits.ue()
        separate = bits.u(1) if chroma == 3 else 0
        luma_bits, chroma_bits = 8 + bits.ue(), 8 + bits.ue()
        bits.u(1)
        if bits.u(1):
            for index in range(8 if chroma != 3 else 12):
                if bits.u(1):
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    bits.ue()  # log2_max_frame_num_minus4
    order_type = bits.ue()
    if order_type == 0:
        bits.ue()
    elif order_type == 1:
        bits.u(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()
    bits.ue()  # max_num_ref_frames
    bits.u(1)
    columns, rows = bits.ue() + 1, bits.ue() + 1
    frames_only = bits.u(1)
    if not frames_only:
        bits.u(1)
    bits.u(1)
    width, height = 16 * columns, 16 * rows * (2 - frames_only)
    step_x, step_y = _crop_steps(0 if separate else chroma)
    if bits.u(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= (left + right) * step_x
        height -= (top + bottom) * step_y * (2 - frames_only)
    reorder = _h264_reorder(bits, unit[1], unit[2], order_type)
    return _checked(SpsInfo(width, height, chroma, luma_bits, chroma_bits, bytes(unit[1:4]), reorder))


def _h264_reorder(bits: _Bits, profile: int, constraints: int, order_type: int) -> int | None:
    """max_num_reorder_frames, read from vui_parameters_present_flag on (E.1.1)."""
    intra_only = profile == 44 or (profile in (86, 100, 110, 122, 244) and constraints & 0x10)
    if profile == 66 or order_type == 2 or intra_only:
        return 0
    try:
        if not bits.u(1):
            return None
        if bits.u(1) and bits.u(8) == 255:  # sample aspect ratio
            bits.u(32)
        if bits.u(1):  # overscan
            bits.u(1)
        if bits.u(1):  # video signal type
            bits.u(4)
            bits.u(24 * bits.u(1))
        if bits.u(1):  # chroma location
            bits.ue()
            bits.ue()
        if bits.u(1):  # timing
            bits.u(65)
        hrd = [_skip_h264_hrd(bits) for _ in range(2) if bits.u(1)]
        bits.u(2 if hrd else 1)
        if not bits.u(1):  # bitstream restriction
            return None
        bits.u(1)
        for _ in range(4):
            bits.ue()
        return min(bits.ue(), 16)
    except UnsupportedStream:
        return None  # the pictures are known; that the VUI is cut off concerns timing alone


def _skip_h264_hrd(bits: _Bits) -> bool:
    count = min(bits.ue(), 31) + 1
    bits.u(8)
    for _ in range(count):
        bits.ue()
        bits.ue()
        bits.u(1)
    bits.u(20)
    return True


def parse_h265(unit: bytes) -> SpsInfo:
    """Facts of an H.265 SPS NAL unit (7.3.2.2). UnsupportedStream for anything else."""
    if len(unit) < 16 or unit[0] >> 1 & 63 != 33:
        raise UnsupportedStream("not an H.265 sequence parameter set")
    bits = _Bits(unit[2:])
    bits.u(4)
    sub_layers = bits.u(3)
    nesting = bits.u(1)
    profile = bits.u(96).to_bytes(12, "big")
    present = [(bits.u(1), bits.u(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.u(2 * (8 - sub_layers))
    for with_profile, with_level in present:
        bits.u(88 * with_profile + 8 * with_level)
    bits.ue()  # sps_seq_parameter_set_id
    chroma = bits.ue()
    separate = bits.u(1) if chroma == 3 else 0
    width, height = bits.ue(), bits.ue()
    step_x, step_y = _crop_steps(0 if separate else chroma)
    if bits.u(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= (left + right) * step_x
        height -= (top + bottom) * step_y
    luma_bits, chroma_bits = 8 + bits.ue(), 8 + bits.ue()
    reorder = _h265_reorder(bits, sub_layers)
    return _checked(
        SpsInfo(width, height, chroma, luma_bits, chroma_bits, profile, reorder, sub_layers + 1, nesting)
    )


def _h265_reorder(bits: _Bits, sub_layers: int) -> int | None:
    """sps_max_num_reorder_pics of the highest layer, with the reader behind the bit depths."""
    reorder = 0
    try:
        bits.ue()  # log2_max_pic_order_cnt_lsb_minus4
        for _ in range(sub_layers + 1 if bits.u(1) else 1):
            bits.ue()
            reorder = bits.ue()
            bits.ue()
    except UnsupportedStream:
        return None
    return min(reorder, 16)


def _crop_steps(chroma_format: int) -> tuple[int, int]:
    """Luma samples that one unit of the cropping offsets stands for: across, down."""
    return (2 if chroma_format in (1, 2) else 1), (2 if chroma_format == 1 else 1)


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _checked(info: SpsInfo) -> SpsInfo:
    sides_fit = 0 < info.width < _LARGEST_SIDE and 0 < info.height < _LARGEST_SIDE
    if not sides_fit or info.chroma_format > 3 or max(info.luma_bits, info.chroma_bits) > 15:
        raise UnsupportedStream("a sequence parameter set that cannot be true")
    return info


class _Bits:
    """Reads bits of an RBSP, of which emulation prevention bytes are removed first."""

    def __init__(self, payload: bytes) -> None:
        plain = _without_prevention(payload)
        self._value = int.from_bytes(plain, "big")
        self._left = 8 * len(plain)

    def u(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise UnsupportedStream("a sequence parameter set that is cut off")
        return self._value >> self._left & ((1 << count) - 1)

    def ue(self) -> int:
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 31:
                raise UnsupportedStream("a sequence parameter set with a number out of range")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        value = self.ue()
        return (value + 1) // 2 if value % 2 else -(value // 2)


def _without_prevention(payload: bytes) -> bytes:
    out = bytearray()
    at = 0
    while (found := payload.find(b"\0\0\3", at)) >= 0:
        out += payload[at : found + 2]
        at = found + 3
    return bytes(out + payload[at:])
