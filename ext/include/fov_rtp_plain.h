/* Units of tracks other than video from RTP payloads: G.711 and Opus (a packet is a unit), AAC (RFC 3640), and
 * ONVIF metadata (documents over several packets).
 */
#ifndef FOV_RTP_PLAIN_H
#define FOV_RTP_PLAIN_H

#include "fov_rtp.h"
#include "fov_rtp_sink.h"

#include <stdlib.h>

enum { FOV_RTP_PACKETS = 0, FOV_RTP_AAC = 1, FOV_RTP_DOCUMENTS = 2 };
enum { FOV_PLAIN_LIMIT = 1 << 20 }; /* bytes of a document */

typedef struct {
    fov_sink *sink;
    fov_rtp_clock *clock;
    int form;
    uint8_t track;
    uint32_t session;
    /* AAC: bits of the fields of an AU header, ticks per frame */
    int size_bits, index_bits;
    uint32_t frame_ticks;
    /* a unit that is put together */
    uint8_t *held;
    size_t used, room, wanted; /* wanted: AAC, size of the whole frame */
    int64_t ticks, receipt_ns;
    uint32_t timestamp;
    int flags, lost, skipping;
    uint64_t units, malformed;
} fov_plain;

FOV_INLINE void fov_plain_free(fov_plain *p) {
    free(p->held);
    p->held = NULL;
    p->used = p->room = 0;
}

static inline void fov_plain_push(fov_plain *p, const uint8_t *data, size_t size, int64_t ticks, int flags) {
    fov_unit unit;
    if (!size) return;
    memset(&unit, 0, sizeof unit);
    unit.pts_ns = fov_rtp_clock_pts(p->clock, ticks);
    unit.wall_ns = fov_rtp_clock_wall(p->clock, ticks);
    unit.receipt_ns = p->receipt_ns;
    unit.session = p->session;
    unit.kind = FOV_KIND_FRAME;
    unit.track = p->track;
    unit.flags = (uint8_t)(FOV_KEY | flags | (p->lost ? FOV_LOST_BEFORE : 0));
    unit.packing = FOV_RAW;
    p->lost = 0;
    FOV_STORE_RELAXED(&p->units, p->units + 1);
    fov_sink_insert(p->sink, &unit, data, size);
}

FOV_INLINE void fov_plain_bad(fov_plain *p) { FOV_STORE_RELAXED(&p->malformed, p->malformed + 1); }

/* Gives out what is held. */
static inline void fov_plain_flush(fov_plain *p) {
    if (p->used) fov_plain_push(p, p->held, p->used, p->ticks, p->flags);
    p->used = 0;
    p->flags = 0;
}

/* Holds more bytes of a unit: 1, or 0 if there is no memory or the unit is too large. */
static inline int fov_plain_hold(fov_plain *p, const uint8_t *data, size_t size) {
    if (p->used + size > FOV_PLAIN_LIMIT) return 0;
    if (p->used + size > p->room) {
        size_t room = p->room ? p->room : 4096;
        while (room < p->used + size) room *= 2;
        uint8_t *grown = (uint8_t *)realloc(p->held, room);
        if (!grown) return 0;
        p->held = grown;
        p->room = room;
    }
    if (size) memcpy(p->held + p->used, data, size);
    p->used += size;
    return 1;
}

/* Whether a metadata document ends here, for senders that forget the marker. */
FOV_INLINE int fov_plain_closes(const uint8_t *data, size_t size) {
    static const char tag[] = "MetadataStream>";
    while (size && (data[size - 1] == ' ' || (data[size - 1] >= 9 && data[size - 1] <= 13))) size--;
    return size >= sizeof tag - 1 && !memcmp(data + size - (sizeof tag - 1), tag, sizeof tag - 1);
}

static inline void fov_plain_document(fov_plain *p, const fov_rtp_packet *packet) {
    if (p->used && p->timestamp != packet->timestamp) fov_plain_flush(p);
    if (!p->used) {
        p->timestamp = packet->timestamp;
        p->ticks = p->clock->ticks;
    }
    if (!fov_plain_hold(p, packet->payload, packet->size)) {
        fov_plain_bad(p);
        p->flags |= FOV_CORRUPT;
        fov_plain_flush(p);
        return;
    }
    if (packet->marker || fov_plain_closes(p->held, p->used)) fov_plain_flush(p);
}

FOV_INLINE uint32_t fov_plain_bits(const uint8_t *p, size_t *at, int count) {
    uint32_t value = 0;
    for (; count; count--, (*at)++) value = value << 1 | (p[*at >> 3] >> (7 - (*at & 7)) & 1);
    return value;
}

/* RFC 3640: AU headers, then whole frames; or one header and a piece of its frame. */
static inline void fov_plain_aac(fov_plain *p, const fov_rtp_packet *packet) {
    const uint8_t *data = packet->payload;
    size_t size = packet->size, width = (size_t)(p->size_bits + p->index_bits), at = 16;
    if (size < 2) goto bad;
    size_t bits = fov_load_u16_be(data), head = 2 + (bits + 7) / 8;
    if (head > size || bits < width) goto bad;
    size_t rest = size - head;
    int64_t ticks = p->clock->ticks;
    size_t length = fov_plain_bits(data, &at, p->size_bits);
    if (length > rest) {
        if (p->used && (p->wanted != length || p->timestamp != packet->timestamp)) p->used = 0;
        if (!p->used && p->skipping) {
            p->skipping = !packet->marker;
            return;
        }
        if (!p->used) p->ticks = ticks;
        p->timestamp = packet->timestamp;
        p->wanted = length;
        if (p->used + rest > length || !fov_plain_hold(p, data + head, rest)) goto bad;
        if (p->used == length) fov_plain_flush(p);
        return;
    }
    p->used = 0;
    p->skipping = 0;
    for (at = 16; at - 16 + width <= bits; ticks += p->frame_ticks) {
        length = fov_plain_bits(data, &at, p->size_bits);
        at += (size_t)p->index_bits;
        if (length > rest) goto bad;
        fov_plain_push(p, data + size - rest, length, ticks, 0);
        rest -= length;
    }
    return;
bad:
    p->used = 0;
    fov_plain_bad(p);
}

/* One packet, in order. */
static inline void fov_plain_packet(fov_plain *p, const fov_rtp_packet *packet, int gap, int64_t receipt_ns) {
    if (gap && p->form == FOV_RTP_DOCUMENTS && p->used) {
        p->flags |= FOV_CORRUPT;
        if (p->timestamp != packet->timestamp) fov_plain_flush(p);
    }
    if (gap && p->form == FOV_RTP_AAC) {
        p->used = 0;
        p->skipping = 1;
    }
    if (gap) p->lost = 1;
    if (!packet->size && !(p->used && packet->marker)) return;
    p->receipt_ns = receipt_ns;
    if (p->form == FOV_RTP_PACKETS) fov_plain_push(p, packet->payload, packet->size, p->clock->ticks, 0);
    else if (p->form == FOV_RTP_AAC) fov_plain_aac(p, packet);
    else fov_plain_document(p, packet);
}

#endif
