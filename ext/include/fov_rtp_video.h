/* Access units of H.264 (RFC 6184, modes 0 and 1) and H.265 (RFC 7798 without DONL) from RTP payloads.
 *
 * An access unit ends with the marker bit, with a new timestamp, or where its NAL units say that a picture begins.
 * Before its first VCL NAL unit nothing ends it: parameter sets that were sent under another timestamp, or with a
 * marker of their own, belong to the picture that follows, as libavformat has it. A sender that sets the marker more
 * than once per picture is found out once, and its markers are ignored from then on.
 *
 * Each NAL unit is stored as fov_nal.h stores Annex B: zeros at its end are cut, and start codes inside it (some
 * cameras put Annex B into RTP) divide it; so digests and sizes are those of every other way in.
 *
 * Loss: of a NAL unit whose fragments are not all there, those before the hole stay and the unit is CORRUPT; so is one
 * whose first slice is missing. The unit after missing packets is marked LOST_BEFORE, unless it goes on with the
 * timestamp of the unit before.
 *
 * The first unit of a session waits for the next one to begin, unless a sender report has come: they often come right
 * after the first packets, and then it has a wall clock too.
 */
#ifndef FOV_RTP_VIDEO_H
#define FOV_RTP_VIDEO_H

#include "fov_rtp.h"
#include "fov_rtp_sink.h"

typedef struct {
    fov_sink *sink;
    fov_rtp_clock *clock;
    int h265;
    uint32_t session;
    /* the access unit in the making */
    int open;              /* it has a timestamp */
    int vcl;               /* it has a VCL NAL unit */
    int flags;             /* FOV_KEY, FOV_PARAMS, FOV_CORRUPT, FOV_LOST_BEFORE */
    int headless;          /* packets before it are missing: its first slice may be */
    int in_nal;            /* a fragmented NAL unit is open, */
    size_t nal;            /* and its length field is here in the record */
    int skipping;          /* fragments of a NAL unit whose beginning is missing */
    uint32_t timestamp;
    int64_t ticks;         /* the same on the media clock */
    int64_t receipt_ns;    /* of its newest packet */
    fov_xxh64 digest;
    /* across access units */
    int held;              /* the first unit is whole, but waits */
    int lost;              /* the next unit comes after a loss */
    int marker_ended;      /* the last unit ended by its marker, */
    uint32_t ended;        /* and this was its timestamp */
    int markers_lie;
    uint64_t units, corrupt, cut, unsupported, malformed;
} fov_video;

FOV_INLINE void fov_video_init(fov_video *v, fov_sink *sink, fov_rtp_clock *clock, int h265, uint32_t session) {
    memset(v, 0, sizeof *v);
    v->sink = sink;
    v->clock = clock;
    v->h265 = h265;
    v->session = session;
    v->headless = 1;
    fov_sink_begin(sink);
    fov_xxh64_init(&v->digest);
}

FOV_INLINE void fov_video_count(uint64_t *counter) { FOV_STORE_RELAXED(counter, *counter + 1); }

FOV_INLINE int fov_video_type(const fov_video *v, uint8_t first) { return v->h265 ? first >> 1 & 63 : first & 31; }

/* Whether a NAL unit, of which the first `size` bytes are here, is the first slice of a picture. */
FOV_INLINE int fov_video_first_slice(const fov_video *v, const uint8_t *nal, size_t size) {
    int type = fov_video_type(v, nal[0]);
    if (v->h265) return type < 32 && size > 2 && nal[2] & 0x80;
    return (type == 1 || type == 2 || type == 5) && size > 1 && nal[1] & 0x80;
}

/* Whether a NAL unit after a VCL one begins another access unit. The lists are those of libavformat's parsers. */
FOV_INLINE int fov_video_begins(const fov_video *v, const uint8_t *nal, size_t size) {
    int type = fov_video_type(v, nal[0]);
    if (fov_video_first_slice(v, nal, size)) return 1;
    if (v->h265) return (type >= 32 && type <= 35) || type == 39 || (type >= 41 && type <= 44) || type >= 48;
    return type >= 6 && type <= 9;
}

/* Accounts for a NAL unit of `size` > 0 bytes whose length field is at `at`. */
static inline void fov_video_account(fov_video *v, uint8_t *at, size_t size) {
    fov_nal nal = {at + 4, size};
    int kind = fov_nal_kind(&nal, v->h265);
    fov_store_u32_be(at, (uint32_t)size);
    v->flags |= kind & (FOV_KEY | FOV_PARAMS);
    if (!(kind & FOV_VCL)) return;
    v->vcl = 1;
    fov_xxh64_update(&v->digest, at, 4 + size);
}

/* The NAL unit at the end of the record holds start codes: divides it. Each grows by a byte at most, so all bytes are
 * first moved on by as many, and then come forward. */
static void fov_video_divide(fov_video *v) {
    fov_sink *sink = v->sink;
    size_t from = v->nal + 4, size = sink->used - from, codes = 0;
    const uint8_t *p = fov_sink_start(sink) + from, *end = p + size;
    while ((p = fov_find_start_code(p, end)) < end) codes++, p += 3;
    if (!fov_sink_room(sink, codes)) return;
    uint8_t *out = fov_sink_start(sink) + v->nal, *moved = out + 4 + codes;
    fov_nal_reader reader;
    fov_nal nal;
    memmove(moved, out + 4, size);
    fov_nal_reader_init(&reader, moved, size, 0);
    while (fov_nal_next(&reader, &nal)) {
        memmove(out + 4, nal.data, nal.size);
        fov_video_account(v, out, nal.size);
        out += 4 + nal.size;
    }
    sink->used = (size_t)(out - fov_sink_start(sink));
}

static inline void fov_video_close_nal(fov_video *v) {
    fov_sink *sink = v->sink;
    v->in_nal = 0;
    if (sink->overflow) return;
    uint8_t *at = fov_sink_start(sink) + v->nal, *end = fov_sink_start(sink) + sink->used;
    if (FOV_UNLIKELY(fov_find_start_code(at + 4, end) < end)) {
        fov_video_divide(v);
        return;
    }
    while (end > at + 4 && end[-1] == 0) end--;
    size_t size = (size_t)(end - at) - 4;
    sink->used = v->nal + (size ? 4 + size : 0);
    if (size) fov_video_account(v, at, size);
}

/* Publishes the access unit, if it holds anything, and begins another. */
static inline void fov_video_finish(fov_video *v) {
    fov_unit unit;
    if (v->in_nal) fov_video_close_nal(v);
    size_t used = v->sink->used;
    v->skipping = 0;
    if (v->vcl && used) {
        memset(&unit, 0, sizeof unit);
        unit.pts_ns = fov_rtp_clock_pts(v->clock, v->ticks);
        unit.wall_ns = fov_rtp_clock_wall(v->clock, v->ticks);
        unit.receipt_ns = v->receipt_ns;
        unit.digest = fov_xxh64_final(&v->digest);
        unit.session = v->session;
        unit.kind = FOV_KIND_FRAME;
        unit.track = FOV_VIDEO_TRACK;
        unit.flags = (uint8_t)v->flags;
        unit.packing = v->h265 ? FOV_HVCC_H265 : FOV_AVCC_H264;
        fov_video_count(&v->units);
        if (v->flags & FOV_CORRUPT) fov_video_count(&v->corrupt);
        fov_sink_commit(v->sink, &unit);
        v->lost = 0;
    } else {
        if (v->units && v->flags & (FOV_CORRUPT | FOV_LOST_BEFORE)) v->lost = 1;
        fov_sink_begin(v->sink);
    }
    v->marker_ended = 0;
    v->ended = v->timestamp;
    v->open = v->vcl = v->flags = v->headless = v->held = 0;
    fov_xxh64_init(&v->digest);
}

/* Begins the access unit of a timestamp, or goes on with it. */
static inline void fov_video_continue(fov_video *v, uint32_t timestamp) {
    if (v->open && v->timestamp != timestamp && (v->vcl || v->flags & FOV_CORRUPT)) fov_video_finish(v);
    if (!v->open && v->lost) v->flags |= FOV_LOST_BEFORE;
    v->open = 1;
    v->timestamp = timestamp;
    v->ticks = v->clock->ticks;
}

/* The first bytes of a NAL unit have come: ends the access unit before it where need be. */
static inline void fov_video_look(fov_video *v, const uint8_t *nal, size_t size) {
    fov_nal head = {nal, size};
    int vcl = fov_nal_kind(&head, v->h265) & FOV_VCL;
    if (v->vcl && fov_video_begins(v, nal, size)) {
        uint32_t timestamp = v->timestamp;
        fov_video_finish(v);
        fov_video_continue(v, timestamp);
    }
    if (vcl && !v->vcl && !fov_video_first_slice(v, nal, size)) {
        if (v->headless) v->flags |= FOV_CORRUPT;
        if (v->marker_ended && v->ended == v->timestamp) {
            v->markers_lie = 1;
            v->flags |= FOV_CORRUPT;
        }
    }
    if (vcl) v->vcl = 1;
}

FOV_INLINE void fov_video_open_nal(fov_video *v, const uint8_t *nal, size_t size) {
    fov_video_look(v, nal, size);
    v->in_nal = 1;
    v->nal = v->sink->used;
    fov_sink_append(v->sink, "\0\0\0", 4);
}

FOV_INLINE void fov_video_whole_nal(fov_video *v, const uint8_t *nal, size_t size) {
    if (v->in_nal) fov_video_close_nal(v);
    v->skipping = 0;
    fov_video_open_nal(v, nal, size);
    fov_sink_append(v->sink, nal, size);
    fov_video_close_nal(v);
}

/* STAP-A and AP: NAL units behind lengths of 16 bits. */
static inline void fov_video_aggregate(fov_video *v, const uint8_t *p, size_t size) {
    while (size > 2) {
        size_t length = fov_load_u16_be(p);
        if (length > size - 2) {
            fov_video_count(&v->malformed);
            v->flags |= FOV_CORRUPT;
            return;
        }
        if (length) fov_video_whole_nal(v, p + 2, length);
        p += 2 + length;
        size -= 2 + length;
    }
}

/* FU-A and FU: `head` is the header of the NAL unit, `edges` has the start bit (128) and the end bit (64). */
static inline void fov_video_fragment(fov_video *v, const uint8_t *head, size_t head_size, int edges, const uint8_t *p,
                                      size_t size) {
    if (edges & 128) {
        uint8_t peek[3];
        if (v->in_nal) fov_video_close_nal(v);
        memcpy(peek, head, head_size);
        if (size) peek[head_size] = p[0];
        v->skipping = 0;
        fov_video_open_nal(v, peek, head_size + (size != 0));
        fov_sink_append(v->sink, head, head_size);
    } else if (!v->in_nal) {
        if (!v->skipping) fov_video_count(&v->cut);
        v->skipping = 1;
        v->flags |= FOV_CORRUPT;
        return;
    }
    fov_sink_append(v->sink, p, size);
    if (edges & 64) fov_video_close_nal(v);
}

static inline void fov_video_h264(fov_video *v, const uint8_t *p, size_t size) {
    int type = p[0] & 31;
    if (type < 24) {
        fov_video_whole_nal(v, p, size);
    } else if (type == 24) {
        fov_video_aggregate(v, p + 1, size - 1);
    } else if (type == 28 && size > 2) {
        uint8_t head = (uint8_t)((p[0] & 0xe0) | (p[1] & 31));
        fov_video_fragment(v, &head, 1, p[1], p + 2, size - 2);
    } else {
        fov_video_count(type == 28 ? &v->malformed : &v->unsupported);
    }
}

static inline void fov_video_h265(fov_video *v, const uint8_t *p, size_t size) {
    if (size < 3) {
        fov_video_count(&v->malformed);
        return;
    }
    int type = p[0] >> 1 & 63, layer = (p[0] & 1) << 5 | p[1] >> 3;
    if (layer || type > 49) {
        fov_video_count(&v->unsupported);
    } else if (type < 48) {
        fov_video_whole_nal(v, p, size);
    } else if (type == 48) {
        fov_video_aggregate(v, p + 2, size - 2);
    } else if (size > 3) {
        uint8_t head[2] = {(uint8_t)((p[0] & 0x81) | (p[2] & 63) << 1), p[1]};
        fov_video_fragment(v, head, 2, p[2], p + 3, size - 3);
    } else {
        fov_video_count(&v->malformed);
    }
}

/* Packets are missing before the one that comes next, whose timestamp this is. */
static inline void fov_video_gap(fov_video *v, uint32_t timestamp) {
    if (v->held) fov_video_finish(v);
    if (v->in_nal) {
        fov_video_close_nal(v);
        fov_video_count(&v->cut);
    }
    if (v->open) v->flags |= FOV_CORRUPT;
    if (v->open && v->timestamp == timestamp) {
        v->headless |= !v->vcl;
        return;
    }
    fov_video_finish(v);
    v->lost = v->headless = 1;
}

/* One packet, in order. */
static inline void fov_video_packet(fov_video *v, const fov_rtp_packet *packet, int gap, int64_t receipt_ns) {
    if (gap) fov_video_gap(v, packet->timestamp);
    if (!packet->size && !(v->open && v->timestamp == packet->timestamp)) return;
    fov_video_continue(v, packet->timestamp);
    v->receipt_ns = receipt_ns;
    if (!packet->size) {}
    else if (v->h265) fov_video_h265(v, packet->payload, packet->size);
    else fov_video_h264(v, packet->payload, packet->size);
    if (!packet->marker || !v->vcl || v->markers_lie) return;
    v->held = !v->units && !v->clock->reported;
    if (v->held) return;
    fov_video_finish(v);
    v->marker_ended = 1;
}

/* The session is over: an access unit of which packets may be outstanding is given up. */
FOV_INLINE void fov_video_end(fov_video *v) {
    if (!v->held) {
        fov_sink_begin(v->sink);
        v->in_nal = v->vcl = 0;
    }
    fov_video_finish(v);
}

#endif
