/* The event loop with owners on threads of their own, for the thread sanitizer: flows come, are written to, read from
 * the ring, send, and go, by leaving or by a hung-up peer. race_loop ROUNDS */
#include "fov_loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

#define CHECK(what) \
    do { \
        if (!(what)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            abort(); \
        } \
    } while (0)

enum { OWNERS = 6, PACKETS = 60 };

static fov_loop loop;
static int alarm_fd, rounds;

static void wake(void) {
    int error;
    fov_net_send(alarm_fd, "!", 1, &error);
}

static void *run_loop(void *unused) {
    fov_loop_run(&loop);
    return unused;
}

static void give(void *owner) { sem_post((sem_t *)owner); }

static size_t packet(uint8_t *out, unsigned number) {
    static const uint8_t head[] = {'$', 0, 0, 62, 0x80, 0xe0};
    memset(out, 'x', 66);
    memcpy(out, head, sizeof head);
    out[6] = (uint8_t)(number >> 8);
    out[7] = (uint8_t)number;
    fov_store_u32_be(out + 8, number * 3600);
    fov_store_u32_be(out + 12, 1);
    out[16] = 0x41;
    out[17] = 0x9a;
    return 66;
}

static void session(unsigned seed) {
    fov_map map;
    fov_ring ring;
    fov_unit_row row;
    fov_flow *flow = (fov_flow *)calloc(1, sizeof *flow);
    fov_seat seat;
    sem_t news;
    int ends[2];
    uint64_t seen = 0, told = 0, frames = 0;
    CHECK(!fov_map_create(&map, FOV_MAP_STEP) && !fov_ring_open(&ring, &map, 1));
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends) && !sem_init(&news, 0, 0));
    flow->sink.ring = &ring;
    flow->format = (const uint8_t *)"format";
    flow->format_size = 6;
    flow->freeze_ns = INT64_MAX / 2;
    flow->notify = give;
    flow->owner = &news;
    fov_flow_add(flow, FOV_TRACK_H264, 1, 96, 90000, 1, 1);
    flow->channels[0] = 1;
    flow->channels[1] = 2;
    memset(&seat, 0, sizeof seat);
    seat.flow = flow;
    seat.stream = ends[1];
    seat.datagrams[0][0] = seat.datagrams[0][1] = FOV_NO_SOCKET;
    fov_loop_add(&loop, &seat);
    wake();
    for (unsigned number = 0; number < PACKETS; number++) {
        uint8_t data[66];
        CHECK(write(ends[0], data, packet(data, number)) == 66);
        if (number % 16 == 5) fov_notes_put(&flow->outbox, "note", 4);
        if (number % 16 == 9) CHECK(write(ends[0], "RTSP/1.0 200 OK\r\n\r\n", 19) == 19);
        if (number == PACKETS / 2 && seed % 3 == 0) FOV_STORE_RELAXED(&flow->leave, 1), wake();
        told += FOV_LOAD_RELAXED(&flow->sink.frames) + FOV_LOAD_RELAXED(&flow->tracks[0].sequence.received);
        fov_notes_free(&flow->inbox);
        while (fov_unit_rows(&ring, ring.control->tail, 1, UINT64_MAX, &row) == 1) {
            frames += row.kind == FOV_KIND_FRAME;
            CHECK(!fov_ring_release(&ring, (uint64_t)row.end));
        }
    }
    if (seed % 3 == 1) FOV_STORE_RELAXED(&flow->leave, 1), wake();
    if (seed % 3 == 2) shutdown(ends[0], SHUT_WR);
    while (!(seen & FOV_FLOW_ENDED)) {
        sem_wait(&news);
        seen |= FOV_EXCHANGE(&flow->events, 0);
    }
    CHECK(flow->end == FOV_END_LEFT || flow->end == FOV_END_EOF);
    while (fov_unit_rows(&ring, ring.control->tail, 1, UINT64_MAX, &row) == 1) {
        frames += row.kind == FOV_KIND_FRAME;
        CHECK(!fov_ring_release(&ring, (uint64_t)row.end));
    }
    CHECK(frames == flow->sink.frames && (seed % 3 == 0 || frames == PACKETS) && told < 1u << 20);
    close(ends[0]);
    close(ends[1]);
    fov_flow_free(flow);
    fov_map_close(&map);
    sem_destroy(&news);
    free(flow);
}

static void *own(void *argument) {
    for (int round = 0; round < rounds; round++) session((unsigned)(size_t)argument + (unsigned)round);
    return NULL;
}

int main(int count, char **arguments) {
    pthread_t thread, owners[OWNERS];
    int pair[2];
    rounds = count > 1 ? atoi(arguments[1]) : 20;
    for (int portable = 0; portable < 2; portable++) {
        CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        alarm_fd = pair[1];
        CHECK(!fov_loop_open(&loop, pair[0], 2000000, 1000000, portable));
        CHECK(!pthread_create(&thread, NULL, run_loop, NULL));
        for (size_t i = 0; i < OWNERS; i++) CHECK(!pthread_create(owners + i, NULL, own, (void *)i));
        for (size_t i = 0; i < OWNERS; i++) pthread_join(owners[i], NULL);
        fov_loop_stop(&loop);
        wake();
        pthread_join(thread, NULL);
        fov_loop_finish(&loop);
        CHECK(loop.count == 0);
        fov_loop_close(&loop);
        close(pair[0]);
        close(pair[1]);
    }
    return 0;
}
