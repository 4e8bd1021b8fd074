/* Datagrams brought back into order: those that come early wait for the missing ones, for a bounded time and number.
 *
 * Packets in order pass without being copied; only those that wait are.
 */
#ifndef FOV_RTP_ORDER_H
#define FOV_RTP_ORDER_H

#include "fov_port.h"

#include <stdlib.h>

enum { FOV_ORDER_SLOTS = 256 }; /* a power of two: packets that may wait, and how far ahead they may be */

typedef struct {
    uint8_t *data;
    size_t size;
    int64_t receipt_ns;
} fov_order_slot;

typedef struct {
    fov_order_slot *slots; /* by sequence number; made when the first packet has to wait */
    int count;
    uint64_t reordered;
} fov_order;

static inline void fov_order_free(fov_order *o) {
    for (int i = 0; o->slots && i < FOV_ORDER_SLOTS; i++) free(o->slots[i].data);
    free(o->slots);
    memset(o, 0, sizeof *o);
}

/* Lets a packet wait that is less than FOV_ORDER_SLOTS ahead: 1, or 0 if it waits already or there is no memory. */
static inline int fov_order_hold(fov_order *o, uint16_t number, const uint8_t *data, size_t size, int64_t now_ns) {
    if (!o->slots && !(o->slots = (fov_order_slot *)calloc(FOV_ORDER_SLOTS, sizeof *o->slots))) return 0;
    fov_order_slot *slot = o->slots + number % FOV_ORDER_SLOTS;
    if (slot->data || !(slot->data = (uint8_t *)malloc(size ? size : 1))) return 0;
    memcpy(slot->data, data, size);
    slot->size = size;
    slot->receipt_ns = now_ns;
    o->count++;
    FOV_STORE_RELAXED(&o->reordered, o->reordered + 1);
    return 1;
}

/* Takes out the packet with this number, if it waits; the caller frees `data`. */
FOV_INLINE fov_order_slot fov_order_take(fov_order *o, uint16_t number) {
    fov_order_slot none = {NULL, 0, 0};
    if (!o->count) return none;
    fov_order_slot *slot = o->slots + number % FOV_ORDER_SLOTS, found = *slot;
    if (found.data) {
        *slot = none;
        o->count--;
    }
    return found;
}

/* The number of the first packet that waits, from `next` on; there is one. */
FOV_INLINE uint16_t fov_order_first(const fov_order *o, uint16_t next) {
    while (!o->slots[next % FOV_ORDER_SLOTS].data) next++;
    return next;
}

#endif
