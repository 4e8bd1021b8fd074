# What boxes are to say of tracks, as fov_boxes.h wants it.

from libc.stdint cimport int64_t

cdef extern from "fov_boxes.h" nogil:
    enum:
        FOV_MOST_TRACKS
    ctypedef struct fov_track:
        int64_t scale, delay, channels
        int id, lasts, as_one
    size_t fov_boxes_limit(int64_t rows)


cdef inline int read_tracks(tracks, fov_track* known) except -1:
    """How many tracks there are now in `known`, which has room for FOV_MOST_TRACKS. Raises ValueError."""
    cdef int count = 0
    if len(tracks) > FOV_MOST_TRACKS:
        raise ValueError(f"{len(tracks)} tracks")
    for track in tracks:
        (known[count].id, known[count].scale, known[count].delay, known[count].lasts, known[count].channels,
         known[count].as_one) = track
        if known[count].scale <= 0:
            raise ValueError(f"not a time scale: {known[count].scale}")
        count += 1
    return count
