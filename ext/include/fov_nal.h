/* NAL units of H.264 and H.265: reading Annex B and length-prefixed units, kinds, conversion, digest.
 *
 * The stored form of an access unit is: each NAL unit behind its length as 4 big-endian bytes. Its digest is XXH64 over
 * the VCL NAL units in that form, so it is the same whatever form the camera sent and whatever parameter sets, AUDs and
 * SEI a session adds. Nothing inside a NAL unit is ever changed.
 *
 * Damaged input is read as far as it goes and marked `broken`: bytes before the first start code count as a NAL unit,
 * a length that passes the end is cut there, and a rest too short for a length is dropped.
 */
#ifndef FOV_NAL_H
#define FOV_NAL_H

#include "fov_port.h"
#include "fov_xxh64.h"

#if defined(__SSE2__) || (defined(_MSC_VER) && defined(_M_X64))
#include <emmintrin.h>
#define FOV_NAL_SSE2 1
#endif

/* How the NAL units of an access unit are packed; the numbers are fovideo.media.nal.Packing. */
enum { FOV_RAW = 0, FOV_ANNEXB_H264 = 1, FOV_ANNEXB_H265 = 2, FOV_AVCC_H264 = 3, FOV_HVCC_H265 = 4, FOV_PACKINGS = 5 };

/* What a NAL unit is; KEY, PARAMS and CORRUPT are the bits of fovideo.media.frames.FrameFlag. */
enum { FOV_KEY = 1, FOV_PARAMS = 2, FOV_LOST_BEFORE = 4, FOV_CORRUPT = 8, FOV_VCL = 16 };

typedef struct {
    const uint8_t *data; /* without start code or length */
    size_t size;         /* > 0 */
} fov_nal;

typedef struct {
    const uint8_t *next, *end;
    int length_size; /* bytes of the length before each NAL unit; 0 = Annex B */
    int leading;     /* Annex B: before the first start code */
    int broken;
} fov_nal_reader;

FOV_INLINE int fov_packing_is_h265(int packing) { return packing == FOV_ANNEXB_H265 || packing == FOV_HVCC_H265; }

FOV_INLINE int fov_packing_is_annexb(int packing) { return packing == FOV_ANNEXB_H264 || packing == FOV_ANNEXB_H265; }

/* First 00 00 01 in [p, end), or end. */
static inline const uint8_t *fov_find_start_code(const uint8_t *p, const uint8_t *end) {
#if defined(FOV_NAL_SSE2)
    const __m128i zero = _mm_setzero_si128(), one = _mm_set1_epi8(1);
    for (; end - p >= 18; p += 16) {
        __m128i a = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)p), zero);
        __m128i b = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + 1)), zero);
        __m128i c = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + 2)), one);
        int found = _mm_movemask_epi8(_mm_and_si128(_mm_and_si128(a, b), c));
        if (FOV_UNLIKELY(found)) {
            while (!(found & 1)) found >>= 1, p++;
            return p;
        }
    }
#endif
    while (end - p >= 3) {
        if (p[2] > 1) p += 3;
        else if (p[2] == 0) p += 1;
        else if (p[0] == 0 && p[1] == 0) return p;
        else p += 3;
    }
    return end;
}

FOV_INLINE void fov_nal_reader_init(fov_nal_reader *r, const void *data, size_t size, int length_size) {
    r->next = (const uint8_t *)data;
    r->end = r->next + size;
    r->length_size = length_size;
    r->leading = 1;
    r->broken = 0;
}

/* The next NAL unit that is not empty: 1, or 0 at the end. */
static inline int fov_nal_next(fov_nal_reader *r, fov_nal *nal) {
    if (r->length_size == 0) {
        while (r->next < r->end) {
            const uint8_t *start = r->next, *stop = fov_find_start_code(start, r->end);
            int leading = r->leading;
            r->next = stop < r->end ? stop + 3 : r->end;
            r->leading = 0;
            while (stop > start && stop[-1] == 0) stop--; /* zero_byte and trailing_zero_8bits */
            if (stop == start) continue;
            if (leading) r->broken = 1;
            nal->data = start;
            nal->size = (size_t)(stop - start);
            return 1;
        }
        return 0;
    }
    while (r->next < r->end) {
        size_t size = 0, rest = (size_t)(r->end - r->next), prefix = (size_t)r->length_size;
        if (rest < prefix) {
            r->broken = 1;
            r->next = r->end;
            return 0;
        }
        for (size_t i = 0; i < prefix; i++) size = size << 8 | r->next[i];
        if (size > rest - prefix) {
            r->broken = 1;
            size = rest - prefix;
        }
        nal->data = r->next + prefix;
        nal->size = size;
        r->next = nal->data + size;
        if (size) return 1;
    }
    return 0;
}

/* FOV_VCL, FOV_KEY and FOV_PARAMS bits of one NAL unit. */
FOV_INLINE int fov_nal_kind(const fov_nal *nal, int h265) {
    if (h265) {
        int type = nal->data[0] >> 1 & 63;
        if (type < 32) {
            int base_layer = nal->size > 1 && !(nal->data[0] & 1) && nal->data[1] < 8;
            return FOV_VCL | (type >= 16 && type <= 23 && base_layer ? FOV_KEY : 0);
        }
        return type <= 34 ? FOV_PARAMS : 0;
    }
    int type = nal->data[0] & 31;
    if (type >= 1 && type <= 5) return FOV_VCL | (type == 5 ? FOV_KEY : 0);
    if (type == 20 || type == 21) return FOV_VCL; /* slices of SVC, MVC and 3D extensions */
    return type == 7 || type == 8 || type == 13 || type == 15 ? FOV_PARAMS : 0;
}

enum { FOV_PLAN_NALS = 128 };

/* What the first pass over an access unit finds, so that the second one only copies. */
typedef struct {
    size_t size;  /* bytes of the stored form */
    int flags;    /* FOV_KEY, FOV_PARAMS, FOV_CORRUPT, FOV_VCL */
    int h265;
    size_t count; /* NAL units in `nals`; when there are more, `rest` reads on */
    fov_nal_reader rest;
    fov_nal nals[FOV_PLAN_NALS];
} fov_nal_plan;

/* `packing` is one of the four that have NAL units; length_size 1..4 matters for AVCC and HVCC only. */
static inline void fov_nal_plan_make(fov_nal_plan *plan, const void *data, size_t size, int packing, int length_size) {
    fov_nal_reader reader;
    fov_nal nal;
    fov_nal_reader_init(&reader, data, size, fov_packing_is_annexb(packing) ? 0 : length_size);
    plan->size = 0;
    plan->flags = 0;
    plan->count = 0;
    plan->h265 = fov_packing_is_h265(packing);
    plan->rest = reader;
    while (fov_nal_next(&reader, &nal)) {
        if (plan->count < FOV_PLAN_NALS) {
            plan->nals[plan->count++] = nal;
            plan->rest = reader;
        }
        plan->size += 4 + nal.size;
        plan->flags |= fov_nal_kind(&nal, plan->h265);
    }
    if (reader.broken) plan->flags |= FOV_CORRUPT;
}

/* Writes plan->size bytes of stored form to `out`; returns the digest. */
static inline uint64_t fov_nal_plan_store(fov_nal_plan *plan, uint8_t *out) {
    fov_xxh64 digest;
    fov_xxh64_init(&digest);
    fov_nal_reader rest = plan->rest;
    fov_nal nal;
    const uint8_t *run = NULL; /* start of consecutive VCL NAL units in `out` */
    for (size_t i = 0;; i++) {
        if (i < plan->count) nal = plan->nals[i];
        else if (i < FOV_PLAN_NALS || !fov_nal_next(&rest, &nal)) break;
        int vcl = fov_nal_kind(&nal, plan->h265) & FOV_VCL;
        if (vcl && !run) run = out;
        if (!vcl && run) {
            fov_xxh64_update(&digest, run, (size_t)(out - run));
            run = NULL;
        }
        fov_store_u32_be(out, (uint32_t)nal.size);
        memcpy(out + 4, nal.data, nal.size);
        out += 4 + nal.size;
    }
    if (run) fov_xxh64_update(&digest, run, (size_t)(out - run));
    return fov_xxh64_final(&digest);
}

/* Digest of an access unit in stored form. */
static inline uint64_t fov_nal_digest(const void *sample, size_t size, int h265) {
    fov_xxh64 digest;
    fov_nal_reader reader;
    fov_nal nal;
    const uint8_t *run = NULL, *end = NULL;
    fov_xxh64_init(&digest);
    fov_nal_reader_init(&reader, sample, size, 4);
    while (fov_nal_next(&reader, &nal)) {
        if (fov_nal_kind(&nal, h265) & FOV_VCL) {
            const uint8_t *start = nal.data - 4;
            if (run && start != end) {
                fov_xxh64_update(&digest, run, (size_t)(end - run));
                run = NULL;
            }
            if (!run) run = start;
            end = nal.data + nal.size;
        }
    }
    if (run) fov_xxh64_update(&digest, run, (size_t)(end - run));
    return fov_xxh64_final(&digest);
}

#endif
