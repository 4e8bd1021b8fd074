/* CRC-32C (Castagnoli, reflected, as in iSCSI): in hardware where the processor can, else slicing by eight.
 *
 * fov_crc32c_init() once before anything else (the module does it at import); after that all functions are thread-safe.
 * The hardware path runs three streams at once to hide the instruction's latency, and joins them by carry-less
 * multiplication with x^(8 * distance) mod P; the constants for the two distances are computed at init.
 */
#ifndef FOV_CRC32C_H
#define FOV_CRC32C_H

#include "fov_port.h"

#define FOV_CRC32C_POLY 0x82F63B78u /* reflected */

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define FOV_CRC32C_X86 1
#include <immintrin.h>
#define FOV_CRC32C_TARGET __attribute__((target("sse4.2,pclmul")))
#elif defined(_MSC_VER) && defined(_M_X64)
#define FOV_CRC32C_X86 1
#include <immintrin.h>
#define FOV_CRC32C_TARGET
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#define FOV_CRC32C_ARM 1
#include <arm_acle.h>
#endif

enum { FOV_CRC32C_LONG = 1360, FOV_CRC32C_SHORT = 128 }; /* bytes of one of the three streams; multiples of 8 */

typedef struct {
    uint32_t table[8][256];
    uint64_t join_long[2], join_short[2]; /* x^(8 * 2n - 33), x^(8 * n - 33) mod P, reflected */
    int hardware;
} fov_crc32c_state;

static fov_crc32c_state fov_crc32c_globals;

/* x^n mod P for the reflected polynomial; bit 31 is x^0. */
static uint32_t fov_crc32c_power(uint64_t n) {
    uint32_t value = 0x80000000u;
    while (n--) value = (value >> 1) ^ (value & 1 ? FOV_CRC32C_POLY : 0);
    return value;
}

static void fov_crc32c_init(void) {
    fov_crc32c_state *g = &fov_crc32c_globals;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = (c >> 1) ^ (c & 1 ? FOV_CRC32C_POLY : 0);
        g->table[0][i] = c;
    }
    for (int k = 1; k < 8; k++)
        for (int i = 0; i < 256; i++)
            g->table[k][i] = (g->table[k - 1][i] >> 8) ^ g->table[0][g->table[k - 1][i] & 255];
    g->join_long[0] = fov_crc32c_power(8 * 2 * FOV_CRC32C_LONG - 33);
    g->join_long[1] = fov_crc32c_power(8 * FOV_CRC32C_LONG - 33);
    g->join_short[0] = fov_crc32c_power(8 * 2 * FOV_CRC32C_SHORT - 33);
    g->join_short[1] = fov_crc32c_power(8 * FOV_CRC32C_SHORT - 33);
#if defined(FOV_CRC32C_X86) && defined(_MSC_VER) && !defined(__clang__)
    int info[4];
    __cpuid(info, 1);
    g->hardware = (info[2] >> 20 & 1) && (info[2] >> 1 & 1);
#elif defined(FOV_CRC32C_X86)
    g->hardware = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
#elif defined(FOV_CRC32C_ARM)
    g->hardware = 1;
#endif
}

/* State in, state out: without the inversions at both ends. */
static uint32_t fov_crc32c_soft(uint32_t c, const uint8_t *p, size_t size) {
    const uint32_t(*t)[256] = (const uint32_t(*)[256])fov_crc32c_globals.table;
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t v = fov_load_u64(p) ^ c;
        c = t[7][v & 255] ^ t[6][v >> 8 & 255] ^ t[5][v >> 16 & 255] ^ t[4][v >> 24 & 255] ^ t[3][v >> 32 & 255] ^
            t[2][v >> 40 & 255] ^ t[1][v >> 48 & 255] ^ t[0][v >> 56];
    }
    while (size--) c = (c >> 8) ^ t[0][(c ^ *p++) & 255];
    return c;
}

#if defined(FOV_CRC32C_X86)
/* c * x^(8 * distance) mod P: the product has 63 bits, and crc32 of it reduces. */
FOV_CRC32C_TARGET static inline uint64_t fov_crc32c_shift(uint64_t c, uint64_t join) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)c), _mm_cvtsi64_si128((long long)join), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

FOV_CRC32C_TARGET static inline uint64_t fov_crc32c_three(uint64_t a, const uint8_t *p, size_t n, const uint64_t *join) {
    uint64_t b = 0, c = 0;
    for (size_t i = 0; i < n; i += 8) {
        a = _mm_crc32_u64(a, fov_load_u64(p + i));
        b = _mm_crc32_u64(b, fov_load_u64(p + n + i));
        c = _mm_crc32_u64(c, fov_load_u64(p + 2 * n + i));
    }
    return fov_crc32c_shift(a, join[0]) ^ fov_crc32c_shift(b, join[1]) ^ c;
}

FOV_CRC32C_TARGET static uint32_t fov_crc32c_hard(uint32_t crc, const uint8_t *p, size_t size) {
    const fov_crc32c_state *g = &fov_crc32c_globals;
    uint64_t c = crc;
    for (; size >= 3 * FOV_CRC32C_LONG; p += 3 * FOV_CRC32C_LONG, size -= 3 * FOV_CRC32C_LONG)
        c = fov_crc32c_three(c, p, FOV_CRC32C_LONG, g->join_long);
    for (; size >= 3 * FOV_CRC32C_SHORT; p += 3 * FOV_CRC32C_SHORT, size -= 3 * FOV_CRC32C_SHORT)
        c = fov_crc32c_three(c, p, FOV_CRC32C_SHORT, g->join_short);
    for (; size >= 8; p += 8, size -= 8) c = _mm_crc32_u64(c, fov_load_u64(p));
    for (; size; p++, size--) c = _mm_crc32_u8((uint32_t)c, *p);
    return (uint32_t)c;
}
#elif defined(FOV_CRC32C_ARM)
static uint32_t fov_crc32c_hard(uint32_t c, const uint8_t *p, size_t size) {
    for (; size >= 8; p += 8, size -= 8) c = __crc32cd(c, fov_load_u64(p));
    for (; size; p++, size--) c = __crc32cb(c, *p);
    return c;
}
#else
static uint32_t fov_crc32c_hard(uint32_t c, const uint8_t *p, size_t size) { return fov_crc32c_soft(c, p, size); }
#endif

/* CRC-32C of `data` that follows bytes whose CRC-32C is `crc` (0 for none). */
FOV_INLINE uint32_t fov_crc32c(uint32_t crc, const void *data, size_t size) {
    const uint8_t *p = (const uint8_t *)data;
    return ~(fov_crc32c_globals.hardware ? fov_crc32c_hard(~crc, p, size) : fov_crc32c_soft(~crc, p, size));
}

FOV_INLINE uint32_t fov_crc32c_software(uint32_t crc, const void *data, size_t size) {
    return ~fov_crc32c_soft(~crc, (const uint8_t *)data, size);
}

#endif
