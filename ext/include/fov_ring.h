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
 *
 * Rewinding. A ring that keeps pages (control->keep, mapped twice) costs what it holds without pages that come and go: when
 * most of what came is released, the producer skips from where it is to the next position of place 0, whose pages are still
 * there. The places behind stay usable: if the consumer then stops, and the new lap comes to what is still held of the
 * old one, the producer passes over that, by a skip to the place behind it. So positions in flight may span two capacities,
 * never one place twice:
 *
 *   place 0 .. x        new lap, since `rewound_to`                       bound: tail + usable, less a skip's header
 *   tail .. y           held of the old lap, ends with the skip at `rewound_from`
 *   y .. capacity       free; after the pass used from `passed_to` on     bound: rewound_to + usable until tail is there
 *
 * At most one of each is in flight: the next one waits until tail is past the last.
 */
#ifndef FOV_RING_H
#define FOV_RING_H

#include "fov_map.h"
#include "fov_port.h"

#define FOV_RING_MAGIC 0x32676e69726f7666ULL /* "fvoring2" */

enum { FOV_RING_HEADER = 8, FOV_RING_PAGE = 4096 };
enum { FOV_NO_SKIP = 0, FOV_SKIP_TO_END = 1, FOV_SKIP_REWIND = 2, FOV_SKIP_PASS = 3 };
enum { FOV_RECORD_RAW = 0, FOV_RECORD_UNIT = 1, FOV_RECORD_SKIP = 2 };

/* In shared memory. Two lines (of 64) apart, since processors fetch lines in pairs. */
typedef struct {
    uint64_t magic, capacity, twice;
    /* The producer's line: only the producer stores here; anyone may read. */
    FOV_ALIGN(128) uint64_t head;
    uint64_t pushed_units, pushed_bytes, dropped_units, dropped_bytes;
    uint64_t dropping; /* bit per track: units are dropped until a keyframe fits */
    uint64_t lost[4];  /* by track: units dropped since the last one that went in */
    uint64_t keep;     /* set before use: bytes at the start whose pages stay; 0 = positions run through */
    uint64_t rewound_from, rewound_to, passed_from, passed_to; /* the last of each: its skip's position, and its end */
    uint64_t most; /* bytes that may be in use, whatever the capacity; 0 = all. Anyone may store it, at any time */
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
    uint64_t limit;    /* position up to which cached_tail lets the producer write */
    uint64_t head_lap; /* position of place 0 in the lap of head */
    uint64_t skip;     /* bytes of the SKIP record that the reserved record needs */
    int how;           /* kind of that skip */
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

/* End of the last skip of a kind; 0 if a producer died before it was published. */
FOV_INLINE uint64_t fov_ring_skipped(uint64_t to, uint64_t head) { return to <= head ? to : 0; }

/* Looks at tail: how far may the producer write? */
FOV_INLINE void fov_ring_look(fov_ring *ring) {
    const fov_ring_control *c = ring->control;
    uint64_t tail = FOV_LOAD_ACQUIRE(&c->tail), head = FOV_LOAD_RELAXED(&c->head);
    uint64_t rewound = fov_ring_skipped(c->rewound_to, head), passed = fov_ring_skipped(c->passed_to, head);
    ring->cached_tail = tail;
    if (tail >= rewound)
        ring->limit = tail + ring->usable;
    else if (passed > rewound)
        ring->limit = rewound + ring->usable;
    else
        ring->limit = tail + ring->usable - FOV_RING_HEADER; /* the header of a pass */
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
    ring->cached_head = FOV_LOAD_ACQUIRE(&control->tail);
    ring->limit = 0; /* the producer looks before it writes, and a consumer has no limit */
    return 0;
}

/* The largest body that fits into an empty ring whatever its position. */
FOV_INLINE uint64_t fov_ring_limit(const fov_ring *ring) {
    return (ring->twice ? ring->usable : ring->usable / 2) - FOV_RING_HEADER;
}

/* Bytes in use; a third thread sees a value of some recent moment. */
FOV_INLINE uint64_t fov_ring_used(const fov_ring *ring) {
    const fov_ring_control *c = ring->control;
    uint64_t tail = FOV_LOAD_ACQUIRE(&c->tail); /* first: head never falls behind it */
    uint64_t head = FOV_LOAD_ACQUIRE(&c->head), used = head - tail;
    uint64_t from = FOV_LOAD_RELAXED(&c->rewound_from), to = FOV_LOAD_RELAXED(&c->rewound_to);
    if (tail <= from && to <= head) used -= to - from;
    from = FOV_LOAD_RELAXED(&c->passed_from);
    to = FOV_LOAD_RELAXED(&c->passed_to);
    if (tail <= from && to <= head) used -= to - from;
    return used < ring->capacity ? used : ring->capacity; /* any of them may have moved in between */
}

/* Bytes that may be in use now. */
FOV_INLINE uint64_t fov_ring_allowed(const fov_ring *ring) {
    const uint64_t most = FOV_LOAD_RELAXED(&ring->control->most);
    return most && most < ring->capacity ? most : ring->capacity;
}

/* ---- producer ---- */

/* Whether `need` bytes at `position` are free; looks at tail where the last look does not say so. */
FOV_INLINE int fov_ring_room(fov_ring *ring, uint64_t position, uint64_t need) {
    if (FOV_LIKELY(position + need <= ring->limit)) return 1;
    fov_ring_look(ring);
    return position + need <= ring->limit;
}

/* Chooses the skip before a record at head that is to find `need` bytes: 1, or 0 if there is no room for it. */
static inline int fov_ring_choose(fov_ring *ring, uint64_t head, uint64_t place, uint64_t need) {
    const fov_ring_control *c = ring->control;
    ring->how = FOV_NO_SKIP;
    ring->skip = 0;
    if (!c->keep || !ring->twice) return fov_ring_room(ring, head, need);
    fov_ring_look(ring);
    const uint64_t rewound = fov_ring_skipped(c->rewound_to, head), passed = fov_ring_skipped(c->passed_to, head);
    const uint64_t tail = ring->cached_tail, held = head - tail, most = 1u << 31;
    /* Less is held than is free before it, all of it in this lap: go back to the pages that are there. */
    if (place >= c->keep / 4 && held <= place / 2 && tail >= rewound && tail >= passed &&
        need + FOV_RING_HEADER + FOV_RING_PAGE <= place - held && ring->capacity - place < most) {
        ring->how = FOV_SKIP_REWIND;
        ring->skip = ring->capacity - place;
        return 1;
    }
    if (head + need <= ring->limit) return 1;
    if (tail >= rewound || passed > rewound) return 0;
    uint64_t behind = rewound + c->rewound_from % ring->capacity + FOV_RING_HEADER;
    if (behind < head + FOV_RING_HEADER || behind + need > rewound + ring->usable || behind - head >= most) return 0;
    ring->how = FOV_SKIP_PASS;
    ring->skip = behind - head;
    return 1;
}

/* Room for a body of `size` bytes such that `spare` bytes stay free behind it; NULL if there is none now. */
static inline uint8_t *fov_ring_reserve(fov_ring *ring, uint64_t size, uint64_t spare) {
    uint64_t head = FOV_LOAD_RELAXED(&ring->control->head), need = fov_ring_whole(size);
    uint64_t place = fov_ring_place(ring, head, &ring->head_lap);
    if (FOV_UNLIKELY(size > fov_ring_limit(ring))) return NULL;
    if (FOV_UNLIKELY(FOV_LOAD_RELAXED(&ring->control->most)) && fov_ring_used(ring) + need + spare > fov_ring_allowed(ring))
        return NULL;
    if (!ring->twice && need > ring->capacity - place) {
        uint64_t skip = ring->capacity - place;
        if (!fov_ring_room(ring, head, need + skip + spare)) return NULL;
        ring->how = FOV_SKIP_TO_END;
        ring->skip = skip;
        return ring->data + FOV_RING_HEADER;
    }
    if (!fov_ring_choose(ring, head, place, need + spare)) return NULL;
    if (FOV_UNLIKELY(ring->skip)) place = (place + ring->skip) % ring->capacity;
    return ring->data + place + FOV_RING_HEADER;
}

/* Writes a record behind those that are staged: 1, or 0 if there is no room (then publish, and wait). Between the first
 * fov_ring_stage and fov_ring_publish nothing else may be pushed. */
FOV_INLINE int fov_ring_stage(fov_ring *ring, const void *data, uint64_t size) {
    uint64_t next = ring->staged ? ring->next : FOV_LOAD_RELAXED(&ring->control->head), need = fov_ring_whole(size), skip = 0;
    uint64_t place = fov_ring_place(ring, next, &ring->head_lap), head = next - ring->staged;
    if (FOV_UNLIKELY(size > fov_ring_limit(ring))) return 0;
    if (!ring->twice && need > ring->capacity - place) skip = ring->capacity - place;
    if (FOV_UNLIKELY(!fov_ring_room(ring, next, need + skip))) return 0;
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
        memcpy(ring->data + fov_ring_place(ring, head, &ring->head_lap), skip, sizeof skip);
        if (ring->how == FOV_SKIP_REWIND) {
            FOV_STORE_RELAXED(&ring->control->rewound_from, head);
            FOV_STORE_RELAXED(&ring->control->rewound_to, head + ring->skip);
        } else if (ring->how == FOV_SKIP_PASS) {
            FOV_STORE_RELAXED(&ring->control->passed_from, head);
            FOV_STORE_RELAXED(&ring->control->passed_to, head + ring->skip);
        }
        ring->limit = 0; /* to be found anew */
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
        if (position == ring->cached_head || ring->cached_head - position > 2 * ring->capacity) {
            ring->cached_head = FOV_LOAD_ACQUIRE(&ring->control->head);
            if (position == ring->cached_head) return 0;
        }
        uint64_t there = ring->cached_head - position;
        if (there > 2 * ring->capacity || there < FOV_RING_HEADER || (position & 7)) return -1;
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

/* Gives the pages of [from, to) back but for those that are kept: from that of `from` to the one before that of `to`. */
static inline void fov_ring_discard_span(const fov_ring *ring, fov_map *map, uint64_t from, uint64_t to) {
    const uint64_t page = FOV_RING_PAGE, keep = ring->control->keep & ~(page - 1);
    from &= ~(page - 1);
    to &= ~(page - 1);
    while (from < to) {
        uint64_t start = from % ring->capacity, size = to - from;
        if (size > ring->capacity - start) size = ring->capacity - start;
        from += size;
        if (start + size <= keep) continue;
        if (start < keep) size -= keep - start, start = keep;
        fov_map_discard(map, start, size);
    }
}

/* Gives the memory of the records before `position` back to the system; call it right before fov_ring_release.
 *
 * The page with `position` on it stays, and goes with the next call. The page with tail on it goes as a whole: what was
 * before tail is released, and the producer cannot be there again, since it keeps a page away from tail (usable). What was
 * skipped is no memory of these records: the producer may be there. */
static inline void fov_ring_discard(const fov_ring *ring, fov_map *map, uint64_t position) {
    const fov_ring_control *c = ring->control;
    uint64_t tail = FOV_LOAD_RELAXED(&c->tail);
    if (position - tail > FOV_LOAD_ACQUIRE(&c->head) - tail) return;
    const uint64_t skips[2][2] = {{FOV_LOAD_RELAXED(&c->rewound_from), FOV_LOAD_RELAXED(&c->rewound_to)},
                                  {FOV_LOAD_RELAXED(&c->passed_from), FOV_LOAD_RELAXED(&c->passed_to)}};
    for (int i = 0; i < 2; i++) {
        if (skips[i][0] < tail || skips[i][0] >= position) continue;
        fov_ring_discard_span(ring, map, tail, skips[i][0]);
        tail = skips[i][1];
    }
    fov_ring_discard_span(ring, map, tail, position);
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
