/* One track of a session: its packets in, its units out. */
#ifndef FOV_RTP_TRACK_H
#define FOV_RTP_TRACK_H

#include "fov_rtp_order.h"
#include "fov_rtp_plain.h"
#include "fov_rtp_video.h"

enum { FOV_TRACK_H264 = 1, FOV_TRACK_H265 = 2, FOV_TRACK_PACKETS = 3, FOV_TRACK_AAC = 4, FOV_TRACK_DOCUMENTS = 5 };

#define FOV_REORDER_NS (100 * 1000000LL)  /* how long packets wait for a missing one */
#define FOV_REPORT_NS (5 * FOV_NS_PER_S)  /* from one receiver report to the next */

typedef struct {
    int form; /* FOV_TRACK_... */
    uint8_t id, type;
    int reliable; /* the transport keeps order and loses nothing */
    uint32_t own; /* SSRC of our reports */
    int has_ssrc, strangers;
    uint32_t ssrc, stranger;
    fov_rtp_sequence sequence;
    fov_rtp_clock clock;
    fov_order order;
    uint64_t ntp; /* of the last sender report */
    int64_t ntp_ns, report_due_ns;
    int bye;
    int replay;       /* times come with the pictures, and sender reports are to be ignored */
    int gap;          /* packets are missing before the next one of this type */
    int64_t media_ns; /* when the last unit was complete, 0 before the first */
    uint64_t late, foreign;
    union {
        fov_video video;
        fov_plain plain;
    } as;
} fov_track;

FOV_INLINE int fov_track_is_video(const fov_track *t) { return t->form == FOV_TRACK_H264 || t->form == FOV_TRACK_H265; }

FOV_INLINE uint64_t fov_track_units(const fov_track *t) {
    return FOV_LOAD_RELAXED(fov_track_is_video(t) ? &t->as.video.units : &t->as.plain.units);
}

/* form, id, type, reliable and clock.rate are set already, everything else is zero. */
static inline void fov_track_init(fov_track *t, fov_sink *sink, uint32_t session, uint32_t own) {
    t->own = own;
    if (fov_track_is_video(t)) {
        fov_video_init(&t->as.video, sink, &t->clock, t->form == FOV_TRACK_H265, session);
        return;
    }
    t->as.plain.sink = sink;
    t->as.plain.clock = &t->clock;
    t->as.plain.form = t->form - FOV_TRACK_PACKETS;
    t->as.plain.track = t->id;
    t->as.plain.session = session;
}

static inline void fov_track_free(fov_track *t) {
    fov_order_free(&t->order);
    if (!fov_track_is_video(t)) fov_plain_free(&t->as.plain);
}

/* The sender is another one, or began anew: what relates to its old numbers no longer holds. */
static inline void fov_track_restart(fov_track *t, uint32_t ssrc) {
    t->sequence.started = 0;
    t->sequence.cycles = 0;
    t->sequence.expected = t->sequence.told_expected = t->sequence.told_received = t->sequence.received;
    t->clock.reported = 0;
    t->ntp = 0;
    t->ssrc = ssrc;
    t->has_ssrc = 1;
}

/* Whether a packet belongs to the sender that is heard: 1 yes, 2 yes and it is a new one, 0 no. */
static inline int fov_track_sender(fov_track *t, uint32_t ssrc) {
    if (FOV_LIKELY(t->has_ssrc && t->ssrc == ssrc)) {
        t->strangers = 0;
        return 1;
    }
    if (!t->has_ssrc) {
        t->ssrc = ssrc;
        t->has_ssrc = 1;
        return 1;
    }
    t->strangers = t->strangers && t->stranger == ssrc ? t->strangers + 1 : 1;
    t->stranger = ssrc;
    if (t->strangers < (t->reliable ? 1 : FOV_RTP_PERSISTENT)) return 0;
    t->strangers = 0;
    fov_track_restart(t, ssrc);
    return 2;
}

/* A packet whose turn it is. */
static inline void fov_track_deliver(fov_track *t, const fov_rtp_packet *packet, int64_t receipt_ns) {
    int verdict = fov_rtp_sequence_see(&t->sequence, packet->sequence, t->reliable);
    if (verdict == FOV_RTP_LATE) {
        FOV_STORE_RELAXED(&t->late, t->late + 1);
        return;
    }
    t->gap |= verdict != FOV_RTP_NEXT;
    if (packet->type != t->type) {
        FOV_STORE_RELAXED(&t->foreign, t->foreign + 1);
        return;
    }
    uint64_t before = fov_track_units(t);
    fov_rtp_clock_see(&t->clock, packet->timestamp);
    if (packet->replay_ntp) {
        t->replay = 1;
        fov_rtp_clock_report(&t->clock, packet->replay_ntp, packet->timestamp);
    }
    if (fov_track_is_video(t)) fov_video_packet(&t->as.video, packet, t->gap, receipt_ns);
    else fov_plain_packet(&t->as.plain, packet, t->gap, receipt_ns);
    if (fov_track_units(t) != before) FOV_STORE_RELAXED((uint64_t *)&t->media_ns, (uint64_t)receipt_ns);
    t->gap = 0;
}

/* Delivers packets that waited, from the one that is due on. holes: how many places without a packet may be passed. */
static inline void fov_track_drain(fov_track *t, int holes) {
    while (t->order.count) {
        uint16_t number = t->sequence.next;
        if (!t->order.slots[number % FOV_ORDER_SLOTS].data) {
            if (!holes--) return;
            number = fov_order_first(&t->order, number);
        }
        fov_order_slot slot = fov_order_take(&t->order, number);
        fov_rtp_packet packet;
        if (fov_rtp_parse(&packet, slot.data, slot.size)) fov_track_deliver(t, &packet, slot.receipt_ns);
        free(slot.data);
    }
}

/* One RTP packet as it came. */
static inline void fov_track_rtp(fov_track *t, const uint8_t *data, size_t size, int64_t now_ns) {
    fov_rtp_packet packet;
    int readable = fov_rtp_parse(&packet, data, size);
    /* Another sender with another type is a companion (retransmissions, say), and no news of the one that is heard. */
    if (!readable || (packet.type != t->type && !(t->has_ssrc && packet.ssrc == t->ssrc))) {
        FOV_STORE_RELAXED(&t->foreign, t->foreign + 1);
        return;
    }
    int sender = fov_track_sender(t, packet.ssrc);
    if (!sender) {
        FOV_STORE_RELAXED(&t->foreign, t->foreign + 1);
        return;
    }
    if (sender == 2) {
        fov_order_free(&t->order);
        t->gap = 1;
    }
    uint16_t ahead = (uint16_t)(packet.sequence - t->sequence.next);
    if (!t->reliable && t->sequence.started && ahead) {
        if (ahead < FOV_ORDER_SLOTS) {
            if (!fov_order_hold(&t->order, packet.sequence, data, size, now_ns)) FOV_STORE_RELAXED(&t->late, t->late + 1);
            return;
        }
        if (ahead < FOV_RTP_DROPOUT) fov_track_drain(t, FOV_ORDER_SLOTS);
    }
    fov_track_deliver(t, &packet, now_ns);
    if (t->order.count) fov_track_drain(t, 0);
}

/* Gives up packets for which others have waited long enough. */
static inline void fov_track_expire(fov_track *t, int64_t now_ns) {
    while (t->order.count) {
        uint16_t first = fov_order_first(&t->order, t->sequence.next);
        if (now_ns - t->order.slots[first % FOV_ORDER_SLOTS].receipt_ns < FOV_REORDER_NS) return;
        fov_track_drain(t, 1);
    }
}

static inline void fov_track_rtcp(fov_track *t, const uint8_t *data, size_t size, int64_t now_ns) {
    fov_rtcp_found found;
    fov_rtcp_parse(&found, data, size);
    if (found.reported) {
        t->ntp = found.ntp;
        t->ntp_ns = now_ns;
        if (!t->replay) fov_rtp_clock_report(&t->clock, found.ntp, found.timestamp);
    }
    if (found.bye && (!t->has_ssrc || found.bye_ssrc == t->ssrc)) t->bye = 1;
}

/* A receiver report, if one is due: its size, else 0. `out` has room for FOV_RTCP_REPORT_SIZE bytes. */
static inline size_t fov_track_report(fov_track *t, uint8_t *out, int64_t now_ns) {
    if (!t->sequence.started || now_ns < t->report_due_ns) return 0;
    t->report_due_ns = now_ns + FOV_REPORT_NS;
    fov_rtcp_write_report(out, &t->sequence, t->own, t->ssrc, t->ntp, now_ns - t->ntp_ns);
    return FOV_RTCP_REPORT_SIZE;
}

static inline void fov_track_end(fov_track *t) {
    fov_track_drain(t, FOV_ORDER_SLOTS);
    if (fov_track_is_video(t)) fov_video_end(&t->as.video);
}

#endif
