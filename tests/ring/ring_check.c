/* Producer, consumer and observer of one ring on three threads; the consumer checks every byte.
 *
 *   ring_check LAYOUT SECONDS CAPACITY LARGEST [KEEP]
 *
 * LAYOUT: plain | shared. LARGEST: bytes of the largest record. KEEP: bytes of the area that are
 * kept, to which the producer goes back; the consumer then stops now and then, so that it must pass over what is held.
 * Prints records and bytes; exit 1 on a wrong byte.
 * With -DBROKEN the indices are stored without release order, which a race detector must see.
 */
#include "fov_port.h"

#ifdef BROKEN
#undef FOV_STORE_RELEASE
#define FOV_STORE_RELEASE(p, v) FOV_STORE_RELAXED(p, v)
#endif

#include "fov_unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

static fov_ring ring;
static fov_map map;
static uint64_t largest, stop, done, rewinds, passes;
static struct timespec end_time;

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 31)) * 0x7fb5d329728ea185ULL;
    return x ^ (x >> 27);
}

static uint64_t size_of(uint64_t number) { return mix(number + 1) % (largest + 1); }

static void fill(uint8_t *out, uint64_t size, uint64_t number) {
    uint64_t value = mix(number + 77);
    for (uint64_t i = 0; i < size; i++) out[i] = (uint8_t)(value >> (i & 7) * 8) + (uint8_t)(i >> 3);
}

static int over(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > end_time.tv_sec || (now.tv_sec == end_time.tv_sec && now.tv_nsec >= end_time.tv_nsec);
}

/* A few records at once; the number of the next one. */
static uint64_t produce_together(uint8_t *buffer, uint64_t number) {
    for (uint64_t last = number + 1 + mix(number) % 8; number < last; number++) {
        uint64_t size = size_of(number);
        fill(buffer, size, number);
        if (!fov_ring_stage(&ring, buffer, size)) break;
    }
    fov_ring_publish(&ring);
    return number;
}

static void *produce(void *unused) {
    uint64_t number = 0;
    uint8_t *buffer = (uint8_t *)malloc((size_t)largest + 1);
    (void)unused;
    while (!over()) {
        if (!ring.control->keep) number = produce_together(buffer, number);
        for (int i = 0; i < 64; i++) {
            uint64_t size = size_of(number);
            uint8_t *body = fov_ring_reserve(&ring, size, 0);
            if (!body) {
                sched_yield();
                continue;
            }
            rewinds += ring.how == FOV_SKIP_REWIND;
            passes += ring.how == FOV_SKIP_PASS;
            fill(body, size, number++);
            fov_ring_commit(&ring, body, size, FOV_RECORD_RAW);
        }
    }
    FOV_STORE_RELEASE(&stop, number + 1);
    free(buffer);
    return NULL;
}

static void *watch(void *unused) {
    (void)unused;
    while (!FOV_LOAD_ACQUIRE(&done)) {
        if (fov_ring_used(&ring) > ring.capacity) abort();
        sched_yield();
    }
    return NULL;
}

static int consume(uint64_t *records, uint64_t *bytes) {
    uint64_t position = 0, number = 0;
    uint8_t *expected = (uint8_t *)malloc((size_t)largest + 1);
    int wrong = 0;
    for (;;) {
        fov_record record;
        uint64_t count = FOV_LOAD_ACQUIRE(&stop);
        int there = fov_ring_peek(&ring, position, &record);
        if (there < 0) wrong = 1;
        if (wrong || (!there && count == number + 1)) break;
        if (!there) {
            fov_ring_release(&ring, position);
            sched_yield();
            continue;
        }
        fill(expected, size_of(number), number);
        if (record.size != size_of(number) || memcmp(expected, record.body, record.size)) {
            fprintf(stderr, "record %llu is wrong\n", (unsigned long long)number);
            wrong = 1;
        }
        *bytes += record.size;
        position = record.end;
        if (mix(number++) % 3) continue;
        /* Now and then the consumer stops until the ring is all but full. */
        if (ring.control->keep && mix(number) % 64 == 0)
            for (int i = 0; i < 200 && fov_ring_used(&ring) < ring.capacity / 4 * 3 && !FOV_LOAD_ACQUIRE(&stop); i++) sched_yield();
        fov_ring_discard(&ring, &map, position);
        fov_ring_release(&ring, position);
    }
    free(expected);
    *records = number;
    return wrong;
}

int main(int argc, char **argv) {
    pthread_t producer, watcher;
    uint64_t records = 0, bytes = 0;
    if (argc < 5) return 2;
    uint64_t capacity = strtoull(argv[3], NULL, 10);
    double seconds = strtod(argv[2], NULL);
    int error = strcmp(argv[1], "plain") ? fov_map_create(&map, capacity) : fov_map_plain(&map, capacity);
    if (error || fov_ring_open(&ring, &map, 1)) return 2;
    if (argc > 5) ring.control->keep = strtoull(argv[5], NULL, 10);
    largest = strtoull(argv[4], NULL, 10);
    if (largest > fov_ring_limit(&ring)) largest = fov_ring_limit(&ring);
    clock_gettime(CLOCK_MONOTONIC, &end_time);
    end_time.tv_nsec += (long)((seconds - (double)(long)seconds) * 1e9);
    end_time.tv_sec += (long)seconds + end_time.tv_nsec / 1000000000;
    end_time.tv_nsec %= 1000000000;
    pthread_create(&producer, NULL, produce, NULL);
    pthread_create(&watcher, NULL, watch, NULL);
    int wrong = consume(&records, &bytes);
    pthread_join(producer, NULL);
    FOV_STORE_RELEASE(&done, 1);
    pthread_join(watcher, NULL);
    printf("%llu %llu %llu %llu\n", (unsigned long long)records, (unsigned long long)bytes, (unsigned long long)rewinds,
           (unsigned long long)passes);
    fov_map_close(&map);
    return wrong;
}
