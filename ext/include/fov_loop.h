/* The event loop of native sessions: one thread sweeps over the sockets of many.
 *
 * Each connection is emptied once per batch time, with one large recv: the packets of 100 ms together, instead of a
 * wake-up for each. A connection that holds much, or was cut, is looked at at once. Datagram sockets have small buffers
 * and no such alarm, so they are swept more often.
 *
 * Other threads may call fov_loop_add and fov_loop_stop, and must wake the loop afterwards (and after setting a flow's
 * `leave`); a seat and its flow belong to the loop from then on until FOV_FLOW_ENDED is told.
 */
#ifndef FOV_LOOP_H
#define FOV_LOOP_H

#include "fov_net.h"
#include "fov_rtp_demux.h"

enum { FOV_LOOP_BUFFER = 1 << 20, FOV_LOOP_ROUNDS = 8, FOV_LOOP_OUTPUT = 64 * 1024 };

/* A flow and its sockets. */
typedef struct fov_seat {
    struct fov_seat *next;
    fov_flow *flow;
    fov_socket stream;
    fov_socket datagrams[FOV_FLOW_TRACKS][2]; /* RTP and RTCP of each track, FOV_NO_SOCKET when interleaved */
    uint8_t channels[FOV_FLOW_TRACKS];        /* of RTCP when interleaved */
    int by_datagram;
    uint8_t *output; /* what the peer has not taken yet */
    size_t output_size;
} fov_seat;

typedef struct {
    fov_net_poller poller;
    fov_net_batch batch;
    int portable;
    int64_t batch_ns, datagram_ns, offset_ns; /* offset: of the owner's monotonic clock from ours */
    fov_seat *arrivals;
    uint64_t stopping;
    fov_seat **seats;
    size_t count, room, by_datagram;
    uint8_t *buffer;
    uint64_t sweeps, reads, early, seated;
} fov_loop;

FOV_INLINE int64_t fov_loop_now(const fov_loop *l) { return fov_net_now_ns() + l->offset_ns; }

/* Returns 0, or an errno. */
static inline int fov_loop_open(fov_loop *l, fov_socket wake, int64_t batch_ns, int64_t datagram_ns, int portable) {
    memset(l, 0, sizeof *l);
    l->poller.epoll = -1;
    l->batch_ns = batch_ns;
    l->datagram_ns = datagram_ns;
    l->portable = portable;
    l->buffer = (uint8_t *)malloc(FOV_LOOP_BUFFER);
    int error = l->buffer ? fov_net_batch_open(&l->batch) : ENOMEM;
    return error ? error : fov_net_poller_open(&l->poller, wake, portable);
}

/* The loop is not running. Of one that was never opened and is all zeros, descriptor 0 is not ours to close. */
static inline void fov_loop_close(fov_loop *l) {
    if (!l->buffer) return;
    fov_net_poller_close(&l->poller);
    free(l->buffer);
    free(l->batch.data);
    free(l->seats);
    l->buffer = l->batch.data = NULL;
    l->seats = NULL;
}

/* Any thread. */
static inline void fov_loop_add(fov_loop *l, fov_seat *seat) {
    fov_seat *newest;
    do {
        newest = (fov_seat *)FOV_LOAD_PTR(&l->arrivals);
        seat->next = newest;
    } while (!FOV_SWAP_PTR_IF(&l->arrivals, newest, seat));
}

FOV_INLINE void fov_loop_stop(fov_loop *l) { FOV_STORE_RELEASE(&l->stopping, 1); }

/* ---- output ---- */

static inline void fov_seat_write(fov_seat *seat, const uint8_t *data, size_t size) {
    int error = 0;
    long taken = seat->output_size ? 0 : fov_net_send(seat->stream, data, size, &error);
    if (taken < 0) {
        fov_flow_end(seat->flow, FOV_END_ERROR, error);
        return;
    }
    size_t rest = size - (size_t)taken;
    if (!rest) return;
    uint8_t *grown = seat->output_size + rest > FOV_LOOP_OUTPUT
                         ? NULL
                         : (uint8_t *)realloc(seat->output, seat->output_size + rest);
    if (!grown) {
        fov_flow_end(seat->flow, FOV_END_ERROR, ETIMEDOUT);
        return;
    }
    memcpy(grown + seat->output_size, data + taken, rest);
    seat->output = grown;
    seat->output_size += rest;
}

static inline void fov_seat_flush(fov_seat *seat) {
    if (seat->output_size) {
        int error;
        long taken = fov_net_send(seat->stream, seat->output, seat->output_size, &error);
        if (taken < 0) {
            fov_flow_end(seat->flow, FOV_END_ERROR, error);
            return;
        }
        seat->output_size -= (size_t)taken;
        memmove(seat->output, seat->output + taken, seat->output_size);
    }
    for (fov_note *note = fov_notes_take(&seat->flow->outbox); note;) {
        fov_note *following = note->next;
        fov_seat_write(seat, note->data, note->size);
        free(note);
        note = following;
    }
}

static inline void fov_seat_report(fov_seat *seat, int64_t now_ns) {
    uint8_t packet[4 + FOV_RTCP_REPORT_SIZE];
    int error;
    for (int i = 0; i < seat->flow->count; i++) {
        size_t size = fov_track_report(seat->flow->tracks + i, packet + 4, now_ns);
        if (!size) continue;
        if (seat->datagrams[i][1] != FOV_NO_SOCKET) {
            (void)fov_net_send(seat->datagrams[i][1], packet + 4, size, &error);
        } else if (!seat->output_size) {
            packet[0] = '$';
            packet[1] = seat->channels[i];
            packet[2] = 0;
            packet[3] = (uint8_t)size;
            fov_seat_write(seat, packet, 4 + size);
        }
    }
}

/* ---- input ---- */

static inline void fov_loop_read_stream(fov_loop *l, fov_seat *seat, int64_t now_ns) {
    fov_flow *flow = seat->flow;
    for (int round = 0; round < FOV_LOOP_ROUNDS && flow->end == FOV_END_NONE; round++) {
        int error;
        long size = fov_net_recv(seat->stream, l->buffer, FOV_LOOP_BUFFER, &error);
        FOV_STORE_RELAXED(&l->reads, l->reads + 1);
        if (size > 0) fov_demux_feed(flow, l->buffer, (size_t)size, now_ns);
        else if (size == 0) fov_flow_end(flow, FOV_END_EOF, 0);
        else if (error) fov_flow_end(flow, FOV_END_ERROR, error);
        if (size < FOV_LOOP_BUFFER) return;
    }
}

static inline void fov_loop_read_datagrams(fov_loop *l, fov_seat *seat, int64_t now_ns) {
    fov_flow *flow = seat->flow;
    for (int i = 0; i < 2 * flow->count; i++) {
        fov_socket fd = seat->datagrams[i / 2][i & 1];
        for (int round = 0; fd != FOV_NO_SOCKET && round < FOV_LOOP_ROUNDS && flow->end == FOV_END_NONE; round++) {
            int count = fov_net_recv_many(fd, &l->batch, l->portable);
            FOV_STORE_RELAXED(&l->reads, l->reads + 1);
            for (int k = 0; k < count; k++) {
                FOV_STORE_RELAXED(&flow->received_bytes, flow->received_bytes + l->batch.sizes[k]);
                fov_flow_packet(flow, flow->tracks + i / 2, i & 1, l->batch.data + (size_t)k * FOV_NET_DATAGRAM,
                                l->batch.sizes[k], now_ns);
            }
            if (count < FOV_NET_BATCH) break;
        }
    }
}

static inline void fov_loop_visit(fov_loop *l, fov_seat *seat) {
    int64_t now_ns = fov_loop_now(l);
    fov_loop_read_stream(l, seat, now_ns);
    if (seat->by_datagram) fov_loop_read_datagrams(l, seat, now_ns);
    fov_flow_tick(seat->flow, now_ns);
    if (seat->flow->end != FOV_END_NONE) return;
    fov_seat_flush(seat);
    fov_seat_report(seat, now_ns);
}

/* ---- life ---- */

static inline void fov_loop_admit(fov_loop *l) {
    if (!FOV_LOAD_PTR(&l->arrivals)) return;
    fov_seat *seat = (fov_seat *)FOV_EXCHANGE_PTR(&l->arrivals, (fov_seat *)NULL);
    while (seat) {
        fov_seat *following = seat->next;
        if (l->count == l->room) {
            size_t room = l->room ? 2 * l->room : 64;
            fov_seat **grown = (fov_seat **)realloc(l->seats, room * sizeof *grown);
            if (grown) {
                l->seats = grown;
                l->room = room;
            }
        }
        seat->flow->began_ns = fov_loop_now(l);
        if (l->count < l->room) {
            l->seats[l->count++] = seat;
            l->by_datagram += seat->by_datagram != 0;
            fov_net_watch(&l->poller, seat->stream, seat);
        } else {
            fov_flow_end(seat->flow, FOV_END_ERROR, ENOMEM);
            fov_flow_close(seat->flow);
        }
        seat = following;
    }
}

/* Lets those go that have ended. Their owners may free them from the moment they are told. */
static inline void fov_loop_dismiss(fov_loop *l) {
    for (size_t i = l->count; i-- > 0;) {
        fov_seat *seat = l->seats[i];
        if (FOV_LOAD_RELAXED(&l->stopping) || FOV_LOAD_RELAXED(&seat->flow->leave)) {
            if (seat->flow->end == FOV_END_NONE) fov_loop_visit(l, seat); /* what has come already */
            fov_flow_end(seat->flow, FOV_END_LEFT, 0);
        }
        if (seat->flow->end == FOV_END_NONE) continue;
        fov_net_unwatch(&l->poller, seat->stream);
        l->by_datagram -= seat->by_datagram != 0;
        l->seats[i] = l->seats[--l->count];
        free(seat->output);
        seat->output = NULL;
        seat->output_size = 0;
        fov_flow_close(seat->flow);
    }
    FOV_STORE_RELAXED(&l->seated, l->count);
}

/* The thread's body: returns once stopped. */
static void fov_loop_run(fov_loop *l) {
    int64_t due_ns = fov_loop_now(l), datagrams_due_ns = due_ns;
    while (!FOV_LOAD_ACQUIRE(&l->stopping)) {
        void *ready[FOV_NET_READY];
        int woken;
        int64_t next_ns = l->by_datagram && datagrams_due_ns < due_ns ? datagrams_due_ns : due_ns;
        int count = fov_net_wait(&l->poller, next_ns - fov_loop_now(l), ready, &woken);
        fov_loop_admit(l);
        for (int i = 0; i < count; i++) fov_loop_visit(l, (fov_seat *)ready[i]);
        FOV_STORE_RELAXED(&l->early, l->early + (uint64_t)count);
        int64_t now_ns = fov_loop_now(l);
        int all = now_ns >= due_ns;
        if (all || (l->by_datagram && now_ns >= datagrams_due_ns)) {
            for (size_t i = 0; i < l->count; i++)
                if (all || l->seats[i]->by_datagram) fov_loop_visit(l, l->seats[i]);
            FOV_STORE_RELAXED(&l->sweeps, l->sweeps + 1);
            datagrams_due_ns = now_ns + l->datagram_ns;
        }
        if (all) due_ns = due_ns + l->batch_ns > now_ns ? due_ns + l->batch_ns : now_ns + l->batch_ns;
        fov_loop_dismiss(l);
    }
}

/* Once the loop does not run any more: tells flows that it will not serve, also those that came meanwhile. */
FOV_INLINE void fov_loop_finish(fov_loop *l) {
    fov_loop_admit(l);
    fov_loop_dismiss(l);
}

#endif
