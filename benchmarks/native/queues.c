/* Throughput of the ring, of a fixed-slot queue and of memcpy:  queues ring|slots|memcpy threads|processes SIZE COUNT
 *
 * All copy the same records out of the same pool (larger than the caches where records are large) into an area of the
 * same size. The consumer looks at the first and last bytes of each record. Prints seconds.
 *
 * Small records are staged, and published when they are 4 KiB: what a reader does that finds
 * several in one read; the consumer frees 64 records, or 256 KiB of them, at once. The slots have no such calls. Both sides
 * have touched all of their memory before the clock starts: a process that was just forked has none of it mapped yet. Where the system allows it all run
 * before other programs (SCHED_FIFO), for the parts of a second that it takes: each side needs a core for itself. Who can't go on waits the same way in both: a few hundred looks, then
 * 20 us of sleep, so that on a busy machine the waiting side does not take the other's core.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fov_ring.h"
#include "spsc.h"

enum { BATCH = 64, BATCH_BYTES = 256 << 10, PAGE = 4096, STAGED_BYTES = 4096, LOOKS = 400, SLEEP_NS = 20000 };
static const uint64_t AREA = 8 << 20, POOL = 64 << 20;
static uint64_t size, count, step;
static uint8_t *pool;
static fov_map map;
static fov_ring producer, consumer;
static spsc *queue;
static int use_ring;
static uint32_t *ready; /* in shared memory */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* To be called each time that a look was in vain, with the number of such looks in a row. */
static inline void wait_a_little(unsigned looks) {
    if (looks < LOOKS) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
        return;
    }
    struct timespec pause = {0, SLEEP_NS};
    nanosleep(&pause, 0);
}

static inline const uint8_t *source(uint64_t number) { return pool + number * step % (POOL - size); }

static uint8_t touch(const uint8_t *area, uint64_t bytes) {
    uint8_t sum = 0;
    for (uint64_t at = 0; at < bytes; at += PAGE) sum ^= ((const volatile uint8_t *)area)[at];
    return sum;
}

/* Maps what this side will use, then waits for the other side. */
static void meet(void) {
    touch(pool, POOL);
    if (use_ring)
        for (uint64_t at = 0; at < 2 * AREA; at += PAGE) __atomic_fetch_add(map.data + at, 0, __ATOMIC_RELAXED);
    else
        for (uint64_t at = 0; at < AREA; at += PAGE) __atomic_fetch_add(queue->slots + at, 0, __ATOMIC_RELAXED);
    __atomic_fetch_add(ready, 1, __ATOMIC_ACQ_REL);
    for (unsigned looks = 0; __atomic_load_n(ready, __ATOMIC_ACQUIRE) < 2;) wait_a_little(looks++);
}

static void *produce(void *unused) {
    meet();
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *data = source(i);
        unsigned looks = 0;
        if (use_ring) {
            while (!fov_ring_stage(&producer, data, size)) {
                fov_ring_publish(&producer);
                wait_a_little(looks++);
            }
            if (producer.staged >= STAGED_BYTES) fov_ring_publish(&producer);
        } else {
            while (!spsc_push(queue, data, size)) wait_a_little(looks++);
        }
    }
    if (use_ring) fov_ring_publish(&producer);
    return unused;
}

static uint64_t consume(void) {
    uint64_t sum = 0;
    if (use_ring) {
        uint64_t position = 0, done = 0;
        unsigned looks = 0;
        fov_record record;
        while (done < count) {
            uint64_t before = done;
            uint64_t most = position + BATCH_BYTES;
            while (done < count && done - before < BATCH && position < most && fov_ring_peek(&consumer, position, &record) > 0) {
                sum += record.body[0] + record.body[record.size - 1];
                position = record.end;
                done++;
            }
            if (done == before) {
                wait_a_little(looks++);
            } else {
                fov_ring_release(&consumer, position);
                looks = 0;
            }
        }
        return sum;
    }
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *data;
        unsigned looks = 0;
        while (!(data = spsc_front(queue))) wait_a_little(looks++);
        sum += data[0] + data[size - 1];
        spsc_pop(queue);
    }
    return sum;
}

static double copy(void) {
    uint8_t *area = mmap(0, AREA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t at = 0;
    memset(area, 1, AREA);
    double start = now();
    for (uint64_t i = 0; i < count; i++) {
        memcpy(area + at, source(i), size);
        __asm__ volatile("" ::: "memory");
        at += size;
        if (at + size > AREA) at = 0;
    }
    return now() - start;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int processes = !strcmp(argv[2], "processes");
    size = strtoull(argv[3], 0, 10);
    count = strtoull(argv[4], 0, 10);
    step = (size + 63) & ~63ull;
    use_ring = !strcmp(argv[1], "ring");
    struct sched_param first = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_FIFO, &first); /* threads and children inherit it; refused is fine */
    pool = mmap(0, POOL, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(pool, 7, POOL);
    if (!strcmp(argv[1], "memcpy")) {
        printf("%.9f\n", copy());
        return 0;
    }
    if (use_ring) {
        if (fov_map_create(&map, AREA) || fov_ring_open(&producer, &map, 1) || fov_ring_open(&consumer, &map, 0)) return 1;
        memset(map.data, 0, map.capacity);
    } else {
        queue = mmap(0, sizeof *queue + AREA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        memset(queue, 0, sizeof *queue + AREA);
        spsc_open(queue, AREA / step, step);
    }
    ready = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_t thread;
    pid_t child = 0;
    if (processes) {
        child = fork();
        if (child == 0) {
            produce(0);
            _exit(0);
        }
    } else if (pthread_create(&thread, 0, produce, 0))
        return 1;
    meet();
    double start = now();
    volatile uint64_t sum = consume();
    (void)sum;
    double took = now() - start;
    if (processes)
        waitpid(child, 0, 0);
    else
        pthread_join(thread, 0);
    printf("%.9f\n", took);
    return 0;
}
