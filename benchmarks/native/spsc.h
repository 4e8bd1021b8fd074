/* The peer of the ring: a queue of fixed slots for one producer and one consumer, after Erik Rigtorp's SPSCQueue.
 *
 * Same tricks as there: indexes on lines of their own, each side's copy of the other's index, one slot kept empty,
 * wrap by comparison. A record is copied into its slot and read there.
 */
#ifndef BENCH_SPSC_H
#define BENCH_SPSC_H

#include <stdint.h>
#include <string.h>

typedef struct {
    uint64_t capacity, slot; /* slots; bytes each */
    __attribute__((aligned(128))) uint64_t write;
    uint64_t cached_read;
    __attribute__((aligned(128))) uint64_t read;
    uint64_t cached_write;
    __attribute__((aligned(128))) uint8_t slots[];
} spsc;

static inline void spsc_open(spsc *queue, uint64_t capacity, uint64_t slot) {
    memset(queue, 0, sizeof *queue);
    queue->capacity = capacity;
    queue->slot = slot;
}

static inline int spsc_push(spsc *queue, const void *data, uint64_t size) {
    uint64_t at = __atomic_load_n(&queue->write, __ATOMIC_RELAXED), next = at + 1;
    if (next == queue->capacity) next = 0;
    if (next == queue->cached_read) {
        queue->cached_read = __atomic_load_n(&queue->read, __ATOMIC_ACQUIRE);
        if (next == queue->cached_read) return 0;
    }
    memcpy(queue->slots + at * queue->slot, data, size);
    __atomic_store_n(&queue->write, next, __ATOMIC_RELEASE);
    return 1;
}

static inline const uint8_t *spsc_front(spsc *queue) {
    uint64_t at = __atomic_load_n(&queue->read, __ATOMIC_RELAXED);
    if (at == queue->cached_write) {
        queue->cached_write = __atomic_load_n(&queue->write, __ATOMIC_ACQUIRE);
        if (at == queue->cached_write) return 0;
    }
    return queue->slots + at * queue->slot;
}

static inline void spsc_pop(spsc *queue) {
    uint64_t next = __atomic_load_n(&queue->read, __ATOMIC_RELAXED) + 1;
    __atomic_store_n(&queue->read, next == queue->capacity ? 0 : next, __ATOMIC_RELEASE);
}

#endif
