/* What differs between compilers: atomics, alignment, unaligned and big-endian access. Nothing else belongs here.
 *
 * Plain C11 apart from the GCC/Clang builtins and MSVC intrinsics below; no Python. Include it before system headers.
 */
#ifndef FOV_PORT_H
#define FOV_PORT_H

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#include <stdlib.h>
#define FOV_INLINE static __forceinline
#define FOV_ALIGN(n) __declspec(align(n))
#define FOV_LIKELY(x) (x)
#define FOV_UNLIKELY(x) (x)
#define FOV_BSWAP32(x) _byteswap_ulong(x)
/* x64 loads and stores are acquire and release already, only the compiler must not move them; ARM64 has instructions. */
#if defined(_M_ARM64)
#define FOV_LOAD_ACQUIRE(p) ((uint64_t)__ldar64((unsigned __int64 volatile *)(p)))
#define FOV_STORE_RELEASE(p, v) __stlr64((unsigned __int64 volatile *)(p), (unsigned __int64)(v))
#define FOV_LOAD_RELAXED(p) ((uint64_t)__iso_volatile_load64((const volatile __int64 *)(p)))
#define FOV_STORE_RELAXED(p, v) __iso_volatile_store64((volatile __int64 *)(p), (__int64)(v))
#else
FOV_INLINE uint64_t fov_msvc_load(const volatile uint64_t *p) {
    uint64_t v = *p;
    _ReadWriteBarrier();
    return v;
}
FOV_INLINE void fov_msvc_store(volatile uint64_t *p, uint64_t v) {
    _ReadWriteBarrier();
    *p = v;
}
#define FOV_LOAD_ACQUIRE(p) fov_msvc_load(p)
#define FOV_STORE_RELEASE(p, v) fov_msvc_store((p), (v))
#define FOV_LOAD_RELAXED(p) fov_msvc_load(p)
#define FOV_STORE_RELAXED(p, v) fov_msvc_store((p), (v))
#endif
/* Read-modify-write of uint64_t and of pointers, acquire and release in one. */
#define FOV_EXCHANGE(p, v) ((uint64_t)_InterlockedExchange64((volatile __int64 *)(p), (__int64)(v)))
#define FOV_FETCH_OR(p, v) ((uint64_t)_InterlockedOr64((volatile __int64 *)(p), (__int64)(v)))
#define FOV_LOAD_PTR(p) _InterlockedCompareExchangePointer((void *volatile *)(p), NULL, NULL)
#define FOV_EXCHANGE_PTR(p, v) _InterlockedExchangePointer((void *volatile *)(p), (void *)(v))
#define FOV_SWAP_PTR_IF(p, old, v) \
    (_InterlockedCompareExchangePointer((void *volatile *)(p), (void *)(v), (void *)(old)) == (void *)(old))
#else
#define FOV_INLINE static inline __attribute__((always_inline, unused))
#define FOV_ALIGN(n) __attribute__((aligned(n)))
#define FOV_LIKELY(x) __builtin_expect(!!(x), 1)
#define FOV_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define FOV_BSWAP32(x) __builtin_bswap32(x)
#define FOV_LOAD_ACQUIRE(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define FOV_STORE_RELEASE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define FOV_LOAD_RELAXED(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define FOV_STORE_RELAXED(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define FOV_EXCHANGE(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define FOV_FETCH_OR(p, v) __atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL)
#define FOV_LOAD_PTR(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define FOV_EXCHANGE_PTR(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define FOV_SWAP_PTR_IF(p, old, v) __sync_bool_compare_and_swap((p), (old), (v))
#endif

/* All supported machines (x86-64, ARM64) are little-endian. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "fovideo needs a little-endian machine"
#endif

FOV_INLINE uint32_t fov_load_u32(const void *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

FOV_INLINE uint64_t fov_load_u64(const void *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

FOV_INLINE uint16_t fov_load_u16_be(const void *p) {
    const uint8_t *b = (const uint8_t *)p;
    return (uint16_t)(b[0] << 8 | b[1]);
}

FOV_INLINE uint32_t fov_load_u32_be(const void *p) { return FOV_BSWAP32(fov_load_u32(p)); }

FOV_INLINE void fov_store_u32_be(void *p, uint32_t v) {
    v = FOV_BSWAP32(v);
    memcpy(p, &v, 4);
}

#endif
