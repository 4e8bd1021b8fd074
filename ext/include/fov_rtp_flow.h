/* One session's data from the socket to the ring: what is interleaved is taken apart, tracks get their packets.
 *
 * A flow is passive: whoever holds it (the event loop, or a test) gives it bytes and the time. One thread at a time may
 * do so. Any thread may read counters, put into the outbox, take from the inbox and ask it to leave.
 */
#ifndef FOV_RTP_FLOW_H
#define FOV_RTP_FLOW_H

#include "fov_note.h"
#include "fov_rtp_track.h"

enum { FOV_FLOW_TRACKS = 3, FOV_FLOW_INBOX = 16 };

/* What a flow tells its owner. */
enum { FOV_FLOW_LIVE = 1, FOV_FLOW_PRESSURE = 2, FOV_FLOW_MESSAGE = 4, FOV_FLOW_ENDED = 8 };

/* Why it ended. */
enum {
    FOV_END_NONE = 0,
    FOV_END_LEFT = 1,     /* it was asked to */
    FOV_END_EOF = 2,      /* the peer hung up */
    FOV_END_ERROR = 3,    /* of the socket, or no memory: see `error` */
    FOV_END_BYE = 4,      /* all tracks said goodbye */
    FOV_END_FROZEN = 5,   /* silence */
    FOV_END_NO_VIDEO = 6, /* video is silent while other tracks go on */
    FOV_END_GARBAGE = 7,  /* neither RTP nor RTSP */
    FOV_END_NO_ROOM = 8,  /* the ring has no room for the session's first record */
};

typedef struct fov_flow {
    fov_sink sink;
    fov_track tracks[FOV_FLOW_TRACKS];
    int count;
    uint32_t session;
    int64_t freeze_ns, began_ns;
    uint64_t told_dropped;
    const uint8_t *format; /* payload of the session's first record; the owner keeps it */
    size_t format_size;
    int announced, live;
    /* fov_rtp_demux.h */
    uint8_t channels[256]; /* 0 = not ours, else 1 + 2 * track + (1 for RTCP) */
    uint8_t *carry;        /* the beginning of what is not whole yet */
    size_t carried, carry_room, need;
    int lost_sync;
    size_t garbage_run;
    uint64_t garbage, received_bytes;
    int inbox_count;
    /* shared with other threads */
    int end, error; /* written once, before FOV_FLOW_ENDED is told */
    uint64_t events, leave;
    fov_notes inbox, outbox;
    void (*notify)(void *owner);
    void *owner;
} fov_flow;

static inline void fov_flow_tell(fov_flow *f, uint64_t event) {
    if (!(FOV_FETCH_OR(&f->events, event) & event) && f->notify) f->notify(f->owner);
}

/* The first reason counts. */
FOV_INLINE void fov_flow_end(fov_flow *f, int reason, int error) {
    if (f->end != FOV_END_NONE) return;
    f->error = error;
    f->end = reason;
}

/* Adds a track; its number, or -1. `rate` > 0. */
static inline int fov_flow_add(fov_flow *f, int form, int id, int type, uint32_t rate, int reliable, uint32_t own) {
    if (f->count == FOV_FLOW_TRACKS) return -1;
    fov_track *track = f->tracks + f->count;
    track->form = form;
    track->id = (uint8_t)id;
    track->type = (uint8_t)type;
    track->reliable = reliable;
    track->clock.rate = rate;
    fov_track_init(track, &f->sink, f->session, own);
    return f->count++;
}

/* Begins the session in the ring, once a packet of one of its tracks has come: 1, or 0 if not yet. */
static inline int fov_flow_announce(fov_flow *f, const fov_track *track, const uint8_t *data, size_t size,
                                    int64_t now_ns) {
    fov_rtp_packet packet;
    if (!fov_rtp_parse(&packet, data, size) || packet.type != track->type) return 0;
    f->began_ns = now_ns;
    f->announced = fov_unit_note(f->sink.ring, FOV_KIND_FORMAT, f->session, now_ns, f->format, f->format_size);
    if (!f->announced) fov_flow_end(f, FOV_END_NO_ROOM, 0);
    return f->announced;
}

/* One RTP or RTCP packet of a track. */
static inline void fov_flow_packet(fov_flow *f, fov_track *track, int rtcp, const uint8_t *data, size_t size,
                                   int64_t now_ns) {
    if (rtcp || fov_rtp_is_rtcp(data, size)) {
        fov_track_rtcp(track, data, size, now_ns);
        return;
    }
    if (FOV_UNLIKELY(!f->announced) && !fov_flow_announce(f, track, data, size, now_ns)) return;
    fov_track_rtp(track, data, size, now_ns);
}

/* Silence since when, and of what: FOV_END_NONE while it is not too long. */
static inline int fov_flow_silence(const fov_flow *f, int64_t now_ns) {
    int64_t video = f->began_ns, any = f->began_ns;
    int has_video = 0;
    for (int i = 0; i < f->count; i++) {
        const fov_track *track = f->tracks + i;
        if (track->media_ns > any) any = track->media_ns;
        if (!fov_track_is_video(track)) continue;
        has_video = 1;
        if (track->media_ns > video) video = track->media_ns;
    }
    if (now_ns - any > f->freeze_ns) return FOV_END_FROZEN;
    return has_video && any - video > f->freeze_ns ? FOV_END_NO_VIDEO : FOV_END_NONE;
}

/* What is to be done with time, or after packets. */
static inline void fov_flow_tick(fov_flow *f, int64_t now_ns) {
    int silent = f->count > 0;
    if (!f->began_ns) f->began_ns = now_ns;
    for (int i = 0; i < f->count; i++) {
        if (f->tracks[i].order.count) fov_track_expire(f->tracks + i, now_ns);
        silent &= f->tracks[i].bye;
    }
    if (!f->live && f->sink.frames) {
        f->live = 1;
        fov_flow_tell(f, FOV_FLOW_LIVE);
    }
    if (f->sink.dropped != f->told_dropped || fov_ring_used(f->sink.ring) > fov_ring_allowed(f->sink.ring) / 2) {
        f->told_dropped = f->sink.dropped;
        fov_flow_tell(f, FOV_FLOW_PRESSURE);
    }
    if (silent) fov_flow_end(f, FOV_END_BYE, 0);
    int why = fov_flow_silence(f, now_ns);
    if (why != FOV_END_NONE) fov_flow_end(f, why, 0);
}

/* After the last packet: the ring has another producer from now on. */
static inline void fov_flow_close(fov_flow *f) {
    for (int i = 0; i < f->count; i++) {
        fov_track_end(f->tracks + i);
        fov_order_free(&f->tracks[i].order);
    }
    if (!f->live && f->sink.frames) fov_flow_tell(f, FOV_FLOW_LIVE);
    fov_flow_tell(f, FOV_FLOW_ENDED);
}

/* Frees what a closed flow holds, but not the flow. */
static inline void fov_flow_free(fov_flow *f) {
    for (int i = 0; i < f->count; i++) fov_track_free(f->tracks + i);
    free(f->carry);
    f->carry = NULL;
    f->carried = f->carry_room = 0;
    fov_notes_free(&f->inbox);
    fov_notes_free(&f->outbox);
}

#endif
