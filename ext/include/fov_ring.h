/* Bounded queue of variable-size records: one producer, one consumer, no locks, no calls into the system.
 *
 * Positions are bytes since the ring was made; they never wrap (64 bits), a position modulo capacity is its place.
 * The bytes in [tail, head) are records that the consumer may read; all others belong to the producer.
 *
 *   producer:  room = usable - (head - tail) ; write record at head ; head := head + size       (store release)
 *   consumer:  read records in [tail, head) (load acquire) ; tail := position                   (store release)
 *
 * Either side may do so for many records at once: fov_ring_stage writes records that one fov_ring_publish shows together,
 * and one fov_ring_release frees all that were read. What is staged and not published does not exist for anybody else.
 *
 * Each side keeps a copy of the other side's index and looks at the shared one only when the copy says that it
 * cannot go on, so that in the steady state no cache line moves but those with data. The control block lies in the same
 * shared memory; the copies are in the handle. A side may be taken over by a new process (attach) when the old one has
 * ended: a record that was being written when its producer died was never published.
 *
 * Record: 8 bytes (body size u32, type u32), body, padding to 8. A body is contiguous in memory: the area is mapped
 * twice, or where that cannot be a record that would pass the end is preceded by a SKIP record up to the end.
 *
 * Where memory is shared, a page of the capacity is never used: it lets the consumer give released pages back.
 */
#ifndef FOV_RING_H
#define FOV_RING_H

#include "fov_map.h"
#include "fov_port.h"

#define FOV_RING_MAGIC 0x31676e69726f7666ULL /* "fvoring1" */

enum { FOV_RING_HEADER = 8, FOV_RING_PAGE = 4096 };
enum { FOV_RECORD_RAW = 0, FOV_RECORD_UNIT = 1, FOV_RECORD_SKIP = 2 };

/* In shared memory. Two lines (of 64) apart, since processors fetch lines in pairs. */
typedef struct {
    uint64_t magic, capacity, twice;
    /* The producer's line: only the producer stores here; anyone may read. */
    FOV_ALIGN(128) uint64_t head;
    uint64_t pushed_units, pushed_bytes, dropped_units, dropped_bytes;
    uint64_t dropping; /* bit per track: units are dropped until a keyframe fits */
    uint64_t lost[4];  /* by track: units dropped since the last one that went in */
    /* The consumer's line. */
    FOV_ALIGN(128) uint64_t tail;
} fov_ring_control;

/* One side's view. The producer touches the first part only, the consumer the second. */
typedef struct {
    fov_ring_control *control;
    uint8_t *data;
    uint64_t capacity;
    uint64_t usable; /* bytes that records may take */
    int twice;
    FOV_ALIGN(128) uint64_t cached_tail;
    uint64_t head_lap; /* position of place 0 in the lap of head */
    uint64_t skip;     /* bytes of the SKIP record that the reserved record needs */
    uint64_t staged;   /* bytes behind head that are written and not yet published */
    uint64_t next;     /* head + staged, while something is staged */
    FOV_ALIGN(128) uint64_t cached_head;
    uint64_t tail_lap;
} fov_ring;

typedef struct {
    const uint8_t *body;
    uint64_t position; /* of the body */
    uint64_t end;      /* of the record: where the next one begins */
    uint32_t size;
    uint32_t type;
} fov_record;

FOV_INLINE uint64_t fov_ring_whole(uint64_t size) { return (FOV_RING_HEADER + size + 7) & ~(uint64_t)7; }

/* Place of a position; `lap` remembers the lap so that no division is needed within it. */
FOV_INLINE uint64_t fov_ring_place(const fov_ring *ring, uint64_t position, uint64_t *lap) {
    uint64_t place = position - *lap;
    if (FOV_UNLIKELY(place >= ring->capacity)) {
        place = position % ring->capacity;
        *lap = position - place;
    }
    return place;
}

/* Binds a handle to memory; `fresh` writes the control block. Returns 0, or EINVAL if it is no ring. */
static inline int fov_ring_open(fov_ring *ring, const fov_map *map, int fresh) {
    fov_ring_control *control = (fov_ring_control *)(void *)map->control;
    if (fresh) {
        memset(control, 0, sizeof *control);
        control->capacity = map->capacity;
        control->twice = (uint64_t)map->twice;
        FOV_STORE_RELEASE(&control->magic, FOV_RING_MAGIC);
    }
    if (FOV_LOAD_ACQUIRE(&control->magic) != FOV_RING_MAGIC || control->capacity != map->capacity ||
        control->twice != (uint64_t)map->twice)
        return EINVAL;
    memset(ring, 0, sizeof *ring);
    ring->control = control;
    ring->data = map->data;
    ring->capacity = map->capacity;
    ring->usable = map->capacity - (map->twice ? FOV_RING_PAGE : 0);
    ring->twice = map->twice;
    ring->cached_tail = FOV_LOAD_ACQUIRE(&control->tail);
    ring->cached_head = FOV_LOAD_ACQUIRE(&control->tail);
    return 0;
}

/* The largest body that fits into an empty ring whatever its position. */
FOV_INLINE uint64_t fov_ring_limit(const fov_ring *ring) {
    return (ring->twice ? ring->usable : ring->usable / 2) - FOV_RING_HEADER;
}

/* Bytes in use; a third thread sees a value of some recent moment. */
FOV_INLINE uint64_t fov_ring_used(const fov_ring *ring) {
    uint64_t tail = FOV_LOAD_ACQUIRE(&ring->control->tail); /* first: head never falls behind it */
    uint64_t used = FOV_LOAD_ACQUIRE(&ring->control->head) - tail;
    return used < ring->capacity ? used : ring->capacity; /* tail may have moved in between */
}

/* ---- producer ---- */

/* Room for a body of `size` bytes such that `spare` bytes stay free behind it; NULL if there is none now. */
static inline uint8_t *fov_ring_reserve(fov_ring *ring, uint64_t size, uint64_t spare) {
    uint64_t head = FOV_LOAD_RELAXED(&ring->control->head), need = fov_ring_whole(size);
    uint64_t place = fov_ring_place(ring, head, &ring->head_lap);
    if (FOV_UNLIKELY(size > fov_ring_limit(ring))) return NULL;
    ring->skip = 0;
    if (!ring->twice && need > ring->capacity - place) {
        ring->skip = ring->capacity - place;
        place = 0;
    }
    need += ring->skip + spare;
    if (need > ring->usable - (head - ring->cached_tail)) {
        ring->cached_tail = FOV_LOAD_ACQUIRE(&ring->control->tail);
        if (need > ring->usable - (head - ring->cached_tail)) return NULL;
    }
    return ring->data + place + FOV_RING_HEADER;
}

/* Writes a record behind those that are staged: 1, or 0 if there is no room (then publish, and wait). Between the first
 * fov_ring_stage and fov_ring_publish nothing else may be pushed. */
FOV_INLINE int fov_ring_stage(fov_ring *ring, const void *data, uint64_t size) {
    uint64_t next = ring->staged ? ring->next : FOV_LOAD_RELAXED(&ring->control->head), need = fov_ring_whole(size), skip = 0;
    uint64_t place = fov_ring_place(ring, next, &ring->head_lap), head = next - ring->staged;
    if (FOV_UNLIKELY(size > fov_ring_limit(ring))) return 0;
    if (!ring->twice && need > ring->capacity - place) skip = ring->capacity - place;
    if (FOV_UNLIKELY(need + skip > ring->usable - (next - ring->cached_tail))) {
        ring->cached_tail = FOV_LOAD_ACQUIRE(&ring->control->tail);
        if (need + skip > ring->usable - (next - ring->cached_tail)) return 0;
    }
    if (FOV_UNLIKELY(skip)) {
        uint32_t padding[2] = {(uint32_t)(skip - FOV_RING_HEADER), FOV_RECORD_SKIP};
        memcpy(ring->data + place, padding, sizeof padding);
        place = 0;
    }
    uint32_t header[2] = {(uint32_t)size, FOV_RECORD_RAW};
    memcpy(ring->data + place, header, sizeof header);
    memcpy(ring->data + place + FOV_RING_HEADER, data, (size_t)size);
    ring->next = next + skip + need;
    ring->staged = ring->next - head;
    return 1;
}

FOV_INLINE void fov_ring_publish(fov_ring *ring) {
    if (!ring->staged) return;
    FOV_STORE_RELEASE(&ring->control->head, ring->next);
    ring->staged = 0;
}

/* Publishes the record that was written at fov_ring_reserve's address; `size` is not above what was reserved. */
static inline void fov_ring_commit(fov_ring *ring, uint8_t *body, uint64_t size, uint32_t type) {
    uint64_t head = FOV_LOAD_RELAXED(&ring->control->head);
    uint32_t header[2] = {(uint32_t)size, type};
    if (FOV_UNLIKELY(ring->skip)) {
        uint32_t skip[2] = {(uint32_t)(ring->skip - FOV_RING_HEADER), FOV_RECORD_SKIP};
        memcpy(ring->data + (ring->capacity - ring->skip), skip, sizeof skip);
    }
    memcpy(body - FOV_RING_HEADER, header, sizeof header);
    FOV_STORE_RELEASE(&ring->control->head, head + ring->skip + fov_ring_whole(size));
}

FOV_INLINE int fov_ring_push(fov_ring *ring, const void *data, uint64_t size) {
    uint8_t *body = fov_ring_reserve(ring, size, 0);
    if (!body) return 0;
    memcpy(body, data, (size_t)size);
    fov_ring_commit(ring, body, size, FOV_RECORD_RAW);
    return 1;
}

/* ---- consumer ---- */

/* The record at `position` (tail, or the end of one before): 1, 0 = nothing yet, -1 = there is no record. */
static inline int fov_ring_peek(fov_ring *ring, uint64_t position, fov_record *record) {
    for (;;) {
        if (position == ring->cached_head || ring->cached_head - position > ring->capacity) {
            ring->cached_head = FOV_LOAD_ACQUIRE(&ring->control->head);
            if (position == ring->cached_head) return 0;
        }
        uint64_t there = ring->cached_head - position;
        if (there > ring->capacity || there < FOV_RING_HEADER || (position & 7)) return -1;
        const uint8_t *start = ring->data + fov_ring_place(ring, position, &ring->tail_lap);
        uint32_t header[2];
        memcpy(header, start, sizeof header);
        uint64_t whole = fov_ring_whole(header[0]);
        if (whole > there || header[1] > FOV_RECORD_SKIP) return -1;
        if (header[1] != FOV_RECORD_SKIP) {
            record->body = start + FOV_RING_HEADER;
            record->position = position + FOV_RING_HEADER;
            record->end = position + whole;
            record->size = header[0];
            record->type = header[1];
            return 1;
        }
        position += whole;
    }
}

/* Gives the memory of the records before `position` back to the system; call it right before fov_ring_release.
 *
 * The page with `position` on it stays, and goes with the next call. The page with tail on it goes as a whole: what was
 * before tail is released, and the producer cannot be there again, since it keeps a page away from tail (usable). */
static inline void fov_ring_discard(const fov_ring *ring, fov_map *map, uint64_t position) {
    const uint64_t page = FOV_RING_PAGE;
    uint64_t tail = FOV_LOAD_RELAXED(&ring->control->tail);
    if (position - tail > FOV_LOAD_ACQUIRE(&ring->control->head) - tail) return;
    uint64_t start = (tail & ~(page - 1)) % ring->capacity;
    uint64_t size = (position & ~(page - 1)) - (tail & ~(page - 1));
    if (start + size > ring->capacity) {
        fov_map_discard(map, 0, start + size - ring->capacity);
        size = ring->capacity - start;
    }
    fov_map_discard(map, start, size);
}

/* Everything before `position` may be overwritten from now on. 0, or -1 if it is not in [tail, head]. */
static inline int fov_ring_release(fov_ring *ring, uint64_t position) {
    uint64_t tail = FOV_LOAD_RELAXED(&ring->control->tail);
    uint64_t head = FOV_LOAD_ACQUIRE(&ring->control->head);
    if (position - tail > head - tail) return -1;
    FOV_STORE_RELEASE(&ring->control->tail, position);
    return 0;
}

#endif
