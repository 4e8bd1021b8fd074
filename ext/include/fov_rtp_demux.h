/* An RTSP connection's bytes: interleaved packets ('$', channel, length) and messages between them (RFC 2326, 10.12).
 *
 * Out of step, the next plausible packet or response is looked for; what is passed over is counted, and too much of it
 * ends the session.
 */
#ifndef FOV_RTP_DEMUX_H
#define FOV_RTP_DEMUX_H

#include "fov_rtp_flow.h"

#include <errno.h>

enum {
    FOV_DEMUX_LINE = 2048,
    FOV_DEMUX_HEAD = 16 * 1024,
    FOV_DEMUX_BODY = 64 * 1024,
    FOV_DEMUX_STEP = 256,
    FOV_DEMUX_GARBAGE = 256 * 1024,
};

/* Value of Content-Length in the head of a message, 0 when there is none. */
static inline size_t fov_demux_length(const uint8_t *head, size_t size) {
    static const char name[] = "content-length:";
    for (size_t at = 0; at + sizeof name < size; at++) {
        size_t i = 0, value = 0;
        if (head[at] != '\n') continue;
        while (i < sizeof name - 1 && (head[at + 1 + i] | 32) == (uint8_t)(name[i] | 32)) i++;
        if (i < sizeof name - 1) continue;
        for (at += 1 + i; at < size && head[at] == ' '; at++) {}
        for (; at < size && head[at] >= '0' && head[at] <= '9' && value <= FOV_DEMUX_BODY; at++)
            value = value * 10 + head[at] - '0';
        return value;
    }
    return 0;
}

/* Bytes of the head of a message with its empty line; 0 = more is needed; -1 = this is no message. */
static inline long fov_demux_head(const uint8_t *p, size_t size) {
    size_t look = size < FOV_DEMUX_LINE ? size : FOV_DEMUX_LINE, at = 0;
    const uint8_t *line = (const uint8_t *)memchr(p, '\n', look);
    if (!line) return look < FOV_DEMUX_LINE ? 0 : -1;
    while (p + at + 6 < line && memcmp(p + at, "RTSP/1", 6)) at++;
    if (p + at + 6 >= line) return -1;
    for (at = (size_t)(line - p); at + 1 < size && at < FOV_DEMUX_HEAD; at++) {
        if (p[at] != '\n') continue;
        if (p[at + 1] == '\n') return (long)at + 2;
        if (at + 2 < size && p[at + 1] == '\r' && p[at + 2] == '\n') return (long)at + 3;
    }
    return at < FOV_DEMUX_HEAD ? 0 : -1;
}

/* A message: bytes used, 0 = more is needed (see need), -1 = none. */
static inline long fov_demux_message(fov_flow *f, const uint8_t *p, size_t size) {
    long head = fov_demux_head(p, size);
    if (head < 0) return -1;
    f->need = size + FOV_DEMUX_STEP;
    if (head == 0) return 0;
    size_t body = fov_demux_length(p, (size_t)head), whole = (size_t)head + body;
    if (body > FOV_DEMUX_BODY) return -1;
    f->need = whole;
    if (size < whole) return 0;
    if (fov_notes_empty(&f->inbox)) f->inbox_count = 0;
    if (f->inbox_count++ < FOV_FLOW_INBOX && fov_notes_put(&f->inbox, p, whole)) fov_flow_tell(f, FOV_FLOW_MESSAGE);
    return (long)whole;
}

/* Bytes of garbage up to what may be the next packet or response. */
static inline size_t fov_demux_garbage(fov_flow *f, const uint8_t *p, size_t size) {
    size_t at = 1;
    while (at < size && p[at] != '$' && p[at] != 'R') at++;
    f->lost_sync = 1;
    f->garbage_run += at;
    FOV_STORE_RELAXED(&f->garbage, f->garbage + at);
    if (f->garbage_run > FOV_DEMUX_GARBAGE) fov_flow_end(f, FOV_END_GARBAGE, 0);
    return at;
}

/* The packet or message that begins at p: bytes used, or 0 when more is needed (see need). size > 0. */
static inline size_t fov_demux_item(fov_flow *f, const uint8_t *p, size_t size, int64_t now_ns) {
    if (FOV_LIKELY(p[0] == '$')) {
        f->need = 4 + (size_t)f->lost_sync;
        if (size < f->need) return 0;
        uint8_t slot = f->channels[p[1]];
        size_t whole = 4 + (size_t)fov_load_u16_be(p + 2);
        if (f->lost_sync && (!slot || whole < 12 || p[4] >> 6 != 2)) return fov_demux_garbage(f, p, size);
        f->need = whole;
        if (size < whole) return 0;
        f->lost_sync = 0;
        if (!slot) return whole;
        f->garbage_run = 0;
        fov_flow_packet(f, f->tracks + (slot - 1) / 2, (slot - 1) & 1, p + 4, whole - 4, now_ns);
        return whole;
    }
    if (p[0] == '\r' || p[0] == '\n') return 1;
    if (f->lost_sync ? p[0] == 'R' : p[0] >= 'A' && p[0] <= 'Z') {
        long used = fov_demux_message(f, p, size);
        if (used >= 0) {
            f->lost_sync &= !used;
            return (size_t)used;
        }
    }
    return fov_demux_garbage(f, p, size);
}

/* Keeps bytes for the next time. */
static inline void fov_demux_carry(fov_flow *f, const uint8_t *p, size_t size) {
    if (f->carried + size > f->carry_room) {
        size_t room = f->carry_room ? f->carry_room : 2048;
        while (room < f->carried + size) room *= 2;
        uint8_t *grown = (uint8_t *)realloc(f->carry, room);
        if (!grown) {
            fov_flow_end(f, FOV_END_ERROR, ENOMEM);
            return;
        }
        f->carry = grown;
        f->carry_room = room;
    }
    memcpy(f->carry + f->carried, p, size);
    f->carried += size;
}

/* Bytes as they were received. */
static inline void fov_demux_feed(fov_flow *f, const uint8_t *p, size_t size, int64_t now_ns) {
    FOV_STORE_RELAXED(&f->received_bytes, f->received_bytes + size);
    while (f->carried && f->end == FOV_END_NONE) {
        if (f->need > f->carried) {
            size_t more = f->need - f->carried < size ? f->need - f->carried : size;
            if (!more) return;
            fov_demux_carry(f, p, more);
            p += more;
            size -= more;
        }
        size_t used = fov_demux_item(f, f->carry, f->carried, now_ns);
        if (!used) continue;
        f->carried -= used;
        f->need = 0;
        if (f->carried) memmove(f->carry, f->carry + used, f->carried);
    }
    while (size && f->end == FOV_END_NONE) {
        size_t used = fov_demux_item(f, p, size, now_ns);
        if (!used) {
            fov_demux_carry(f, p, size);
            return;
        }
        p += used;
        size -= used;
    }
}

#endif
