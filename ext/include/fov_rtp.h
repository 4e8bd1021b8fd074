/* RTP and RTCP on the wire (RFC 3550): packets, sequence numbers, the media clock, reports. Pure, no memory of its own.
 *
 * Every function may be given any bytes.
 */
#ifndef FOV_RTP_H
#define FOV_RTP_H

#include "fov_port.h"

#define FOV_NO_TIME INT64_MIN
#define FOV_NS_PER_S 1000000000LL
#define FOV_RTP_REPLAY 0xABAC
#define FOV_NTP_EPOCH_S 2208988800LL /* from 1900 to 1970 */

typedef struct {
    const uint8_t *payload;
    size_t size;
    uint32_t timestamp, ssrc;
    uint16_t sequence;
    uint8_t type, marker;
    uint64_t replay_ntp; /* ONVIF's replay extension: when this access unit was recorded (32.32), 0 = none */
} fov_rtp_packet;

/* Whether a packet is RTCP, wherever it came in (RFC 5761, but for the types that no camera sends). */
FOV_INLINE int fov_rtp_is_rtcp(const uint8_t *p, size_t size) {
    return size >= 2 && ((p[1] >= 192 && p[1] <= 195) || (p[1] >= 200 && p[1] <= 210));
}

/* 1, or 0 for what is no RTP packet. The payload may be empty. */
static inline int fov_rtp_parse(fov_rtp_packet *out, const uint8_t *p, size_t size) {
    if (size < 12 || p[0] >> 6 != 2) return 0;
    size_t head = 12 + 4 * (size_t)(p[0] & 15);
    out->replay_ntp = 0;
    if (p[0] & 0x10) {
        if (size < head + 4) return 0;
        const uint8_t *extension = p + head;
        size_t words = fov_load_u16_be(extension + 2);
        if (fov_load_u16_be(extension) == FOV_RTP_REPLAY && words >= 3 && size >= head + 16)
            out->replay_ntp = (uint64_t)fov_load_u32_be(extension + 4) << 32 | fov_load_u32_be(extension + 8);
        head += 4 + 4 * (size_t)fov_load_u16_be(p + head + 2);
    }
    size_t pad = p[0] & 0x20 ? p[size - 1] : 0;
    if (head + pad > size) return 0;
    out->payload = p + head;
    out->size = size - head - pad;
    out->marker = p[1] >> 7;
    out->type = p[1] & 127;
    out->sequence = fov_load_u16_be(p + 2);
    out->timestamp = fov_load_u32_be(p + 4);
    out->ssrc = fov_load_u32_be(p + 8);
    return 1;
}

/* ---- sequence numbers ---- */

enum {
    FOV_RTP_NEXT = 0, /* the one that was due */
    FOV_RTP_GAP = 1,  /* packets are missing before it */
    FOV_RTP_LATE = 2, /* its place is past: to be dropped */
    FOV_RTP_JUMP = 3, /* the sender began anew: how many are missing is not known */
};
enum { FOV_RTP_DROPOUT = 3000, FOV_RTP_MISORDER = 100, FOV_RTP_PERSISTENT = 4 };

typedef struct {
    int started;
    uint16_t next;       /* sequence number that is due */
    uint16_t odd;        /* the one after the last that did not fit */
    int odd_run;         /* how many that did not fit came in a row */
    uint32_t cycles;     /* times that the numbers wrapped */
    uint64_t received, lost;
    uint64_t told_expected, told_received; /* at the last receiver report */
    uint64_t expected;                     /* packets that should have come */
} fov_rtp_sequence;

/* Classifies a packet and counts it. `reliable`: the transport keeps order, so a far jump is believed at once;
 * elsewhere a second packet must confirm it. What merely lags is believed after a few in a row. */
static inline int fov_rtp_sequence_see(fov_rtp_sequence *s, uint16_t number, int reliable) {
    uint16_t ahead = (uint16_t)(number - s->next);
    int verdict = FOV_RTP_NEXT;
    if (!s->started) {
        s->started = 1;
        s->expected++;
    } else if (ahead < FOV_RTP_DROPOUT) {
        verdict = ahead ? FOV_RTP_GAP : FOV_RTP_NEXT;
        s->cycles += number < (uint16_t)(s->next - 1);
        FOV_STORE_RELAXED(&s->lost, s->lost + ahead);
        s->expected += (uint64_t)ahead + 1;
    } else {
        s->odd_run = s->odd_run && number == s->odd ? s->odd_run + 1 : 1;
        s->odd = (uint16_t)(number + 1);
        int lags = ahead >= 65536 - FOV_RTP_MISORDER;
        if (s->odd_run < (lags ? FOV_RTP_PERSISTENT : reliable ? 1 : 2)) return FOV_RTP_LATE;
        verdict = FOV_RTP_JUMP;
        s->expected++;
    }
    s->odd_run = 0;
    s->next = (uint16_t)(number + 1);
    FOV_STORE_RELAXED(&s->received, s->received + 1);
    return verdict;
}

/* Highest sequence number with its cycles. */
FOV_INLINE uint32_t fov_rtp_sequence_highest(const fov_rtp_sequence *s) {
    return s->cycles << 16 | (uint16_t)(s->next - 1);
}

/* ---- media clock ---- */

typedef struct {
    uint32_t rate; /* ticks per second, > 0 */
    int started, reported;
    uint32_t last;   /* last RTP timestamp */
    int64_t ticks;   /* the same, unwrapped, since the first */
    int64_t report_ticks, report_wall_ns; /* of the last sender report */
} fov_rtp_clock;

FOV_INLINE int64_t fov_rtp_ns(int64_t ticks, uint32_t rate) {
    int64_t seconds = ticks / rate, rest = ticks % rate;
    if (rest < 0) rest += rate, seconds--;
    if (seconds > 4000000000LL || seconds < -4000000000LL) return FOV_NO_TIME;
    return seconds * FOV_NS_PER_S + rest * FOV_NS_PER_S / rate;
}

/* Unwrapped ticks of a timestamp that is within 2^31 of the last one. */
FOV_INLINE int64_t fov_rtp_clock_ticks(const fov_rtp_clock *c, uint32_t timestamp) {
    return c->ticks + (int32_t)(timestamp - c->last);
}

/* Moves the clock to a timestamp; the first one is tick 0. */
FOV_INLINE void fov_rtp_clock_see(fov_rtp_clock *c, uint32_t timestamp) {
    if (!c->started) c->last = timestamp;
    c->started = 1;
    c->ticks = fov_rtp_clock_ticks(c, timestamp);
    c->last = timestamp;
}

FOV_INLINE int64_t fov_rtp_clock_pts(const fov_rtp_clock *c, int64_t ticks) { return fov_rtp_ns(ticks, c->rate); }

/* Wall clock in ns since the Unix epoch by the last sender report, FOV_NO_TIME before the first. */
FOV_INLINE int64_t fov_rtp_clock_wall(const fov_rtp_clock *c, int64_t ticks) {
    if (!c->reported) return FOV_NO_TIME;
    int64_t since = fov_rtp_ns(ticks - c->report_ticks, c->rate);
    return since == FOV_NO_TIME ? FOV_NO_TIME : c->report_wall_ns + since;
}

/* A sender report: at NTP time `ntp` (32.32) the media clock stood at `timestamp`. 0 = the sender knows no time. */
static inline void fov_rtp_clock_report(fov_rtp_clock *c, uint64_t ntp, uint32_t timestamp) {
    if (!ntp) return;
    int64_t seconds = (int64_t)(ntp >> 32);
    if (seconds < 0x80000000LL) seconds += 1LL << 32; /* NTP era 1, from 2036 on */
    if (!c->started) fov_rtp_clock_see(c, timestamp);
    c->report_ticks = fov_rtp_clock_ticks(c, timestamp);
    c->report_wall_ns = (seconds - FOV_NTP_EPOCH_S) * FOV_NS_PER_S + (int64_t)(((ntp & 0xffffffffu) * FOV_NS_PER_S) >> 32);
    c->reported = 1;
}

/* ---- RTCP ---- */

enum { FOV_RTCP_SR = 200, FOV_RTCP_RR = 201, FOV_RTCP_SDES = 202, FOV_RTCP_BYE = 203 };

typedef struct {
    int reported, bye;
    uint32_t ssrc; /* of the sender report */
    uint64_t ntp;
    uint32_t timestamp;
    uint32_t bye_ssrc;
} fov_rtcp_found;

/* What a compound packet says; damaged parts are passed over. */
static inline void fov_rtcp_parse(fov_rtcp_found *found, const uint8_t *p, size_t size) {
    memset(found, 0, sizeof *found);
    while (size >= 4 && p[0] >> 6 == 2) {
        size_t whole = 4 + 4 * (size_t)fov_load_u16_be(p + 2);
        if (whole > size) return;
        if (p[1] == FOV_RTCP_SR && whole >= 28) {
            found->reported = 1;
            found->ssrc = fov_load_u32_be(p + 4);
            found->ntp = (uint64_t)fov_load_u32_be(p + 8) << 32 | fov_load_u32_be(p + 12);
            found->timestamp = fov_load_u32_be(p + 16);
        } else if (p[1] == FOV_RTCP_BYE && whole >= 8 && (p[0] & 31)) {
            found->bye = 1;
            found->bye_ssrc = fov_load_u32_be(p + 4);
        }
        p += whole;
        size -= whole;
    }
}

enum { FOV_RTCP_REPORT_SIZE = 32 + 20 };

/* Receiver report and SDES; FOV_RTCP_REPORT_SIZE bytes. ntp: of the last sender report, 0 = none;
 * since_ns: how long ago that came. Interarrival jitter is 0: packets are read in batches, so it is not known. */
static inline void fov_rtcp_write_report(uint8_t *out, fov_rtp_sequence *s, uint32_t own, uint32_t ssrc, uint64_t ntp,
                                         int64_t since_ns) {
    static const uint8_t sdes[8] = {0x81, FOV_RTCP_SDES, 0, 4, 0, 0, 0, 0};
    uint64_t expected = s->expected - s->told_expected, received = s->received - s->told_received;
    uint64_t missing = expected > received ? expected - received : 0, all = s->expected - s->received;
    uint64_t delay = since_ns > 0 ? (uint64_t)since_ns * 65536 / FOV_NS_PER_S : 0;
    s->told_expected = s->expected;
    s->told_received = s->received;
    if (s->expected < s->received) all = 0;
    if (all > 0x7fffff) all = 0x7fffff;
    out[0] = 0x81;
    out[1] = FOV_RTCP_RR;
    out[2] = 0;
    out[3] = 7;
    fov_store_u32_be(out + 4, own);
    fov_store_u32_be(out + 8, ssrc);
    fov_store_u32_be(out + 12, (uint32_t)(expected ? missing * 255 / expected : 0) << 24 | (uint32_t)all);
    fov_store_u32_be(out + 16, fov_rtp_sequence_highest(s));
    fov_store_u32_be(out + 20, 0);
    fov_store_u32_be(out + 24, (uint32_t)(ntp >> 16));
    fov_store_u32_be(out + 28, ntp ? (uint32_t)delay : 0);
    memcpy(out + 32, sdes, sizeof sdes);
    fov_store_u32_be(out + 36, own);
    memcpy(out + 40, "\x01\x07" "fovideo", 9);
    memset(out + 49, 0, 3);
}

#endif
