/* XXH64 (seed 0) of one buffer or of several pieces in turn. Algorithm by Yann Collet, own implementation. */
#ifndef FOV_XXH64_H
#define FOV_XXH64_H

#include "fov_port.h"

#define FOV_XXH_P1 0x9E3779B185EBCA87ULL
#define FOV_XXH_P2 0xC2B2AE3D27D4EB4FULL
#define FOV_XXH_P3 0x165667B19E3779F9ULL
#define FOV_XXH_P4 0x85EBCA77C2B2AE63ULL
#define FOV_XXH_P5 0x27D4EB2F165667C5ULL

typedef struct {
    uint64_t lanes[4];
    uint64_t total;    /* bytes seen */
    uint32_t held;     /* bytes in `rest`, < 32 */
    uint8_t rest[32];
} fov_xxh64;

FOV_INLINE uint64_t fov_xxh_rotl(uint64_t x, int r) { return (x << r) | (x >> (64 - r)); }

FOV_INLINE uint64_t fov_xxh_round(uint64_t lane, uint64_t input) {
    return fov_xxh_rotl(lane + input * FOV_XXH_P2, 31) * FOV_XXH_P1;
}

FOV_INLINE void fov_xxh64_init(fov_xxh64 *s) {
    s->lanes[0] = FOV_XXH_P1 + FOV_XXH_P2;
    s->lanes[1] = FOV_XXH_P2;
    s->lanes[2] = 0;
    s->lanes[3] = 0 - FOV_XXH_P1;
    s->total = 0;
    s->held = 0;
}

/* Consume whole 32-byte blocks; returns the bytes consumed. */
FOV_INLINE size_t fov_xxh64_blocks(fov_xxh64 *s, const uint8_t *p, size_t size) {
    uint64_t a = s->lanes[0], b = s->lanes[1], c = s->lanes[2], d = s->lanes[3];
    const uint8_t *const start = p, *const end = p + (size & ~(size_t)31);
    for (; p < end; p += 32) {
        a = fov_xxh_round(a, fov_load_u64(p));
        b = fov_xxh_round(b, fov_load_u64(p + 8));
        c = fov_xxh_round(c, fov_load_u64(p + 16));
        d = fov_xxh_round(d, fov_load_u64(p + 24));
    }
    s->lanes[0] = a;
    s->lanes[1] = b;
    s->lanes[2] = c;
    s->lanes[3] = d;
    return (size_t)(p - start);
}

FOV_INLINE void fov_xxh64_update(fov_xxh64 *s, const void *data, size_t size) {
    const uint8_t *p = (const uint8_t *)data;
    s->total += size;
    if (s->held) {
        size_t take = 32 - s->held;
        if (size < take) take = size;
        memcpy(s->rest + s->held, p, take);
        s->held += (uint32_t)take;
        if (s->held < 32) return;
        fov_xxh64_blocks(s, s->rest, 32);
        s->held = 0;
        p += take;
        size -= take;
    }
    size_t done = fov_xxh64_blocks(s, p, size);
    s->held = (uint32_t)(size - done);
    if (s->held) memcpy(s->rest, p + done, s->held);
}

FOV_INLINE uint64_t fov_xxh64_final(const fov_xxh64 *s) {
    uint64_t h;
    if (s->total >= 32) {
        h = fov_xxh_rotl(s->lanes[0], 1) + fov_xxh_rotl(s->lanes[1], 7) + fov_xxh_rotl(s->lanes[2], 12) +
            fov_xxh_rotl(s->lanes[3], 18);
        for (int i = 0; i < 4; i++) h = (h ^ fov_xxh_round(0, s->lanes[i])) * FOV_XXH_P1 + FOV_XXH_P4;
    } else {
        h = FOV_XXH_P5;
    }
    h += s->total;
    const uint8_t *p = s->rest, *const end = s->rest + s->held;
    for (; p + 8 <= end; p += 8)
        h = fov_xxh_rotl(h ^ fov_xxh_round(0, fov_load_u64(p)), 27) * FOV_XXH_P1 + FOV_XXH_P4;
    if (p + 4 <= end) {
        h = fov_xxh_rotl(h ^ (fov_load_u32(p) * FOV_XXH_P1), 23) * FOV_XXH_P2 + FOV_XXH_P3;
        p += 4;
    }
    for (; p < end; p++) h = fov_xxh_rotl(h ^ (*p * FOV_XXH_P5), 11) * FOV_XXH_P1;
    h = (h ^ (h >> 33)) * FOV_XXH_P2;
    h = (h ^ (h >> 29)) * FOV_XXH_P3;
    return h ^ (h >> 32);
}

FOV_INLINE uint64_t fov_xxh64_of(const void *data, size_t size) {
    fov_xxh64 s;
    fov_xxh64_init(&s);
    fov_xxh64_update(&s, data, size);
    return fov_xxh64_final(&s);
}

#endif
