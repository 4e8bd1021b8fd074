/* Any bytes through the NAL reader, conversion, digest and checksum, in buffers without a byte to spare.
 *
 *   nal_check ROUNDS SEED
 *
 * LLVMFuzzerTestOneInput is what a fuzzer calls (clang -fsanitize=fuzzer,address -DFUZZER).
 */
#include "fov_crc32c.h"
#include "fov_nal.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(x) \
    do { \
        if (!(x)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
            abort(); \
        } \
    } while (0)

static void check(const uint8_t *data, size_t size, int packing, int length_size) {
    fov_nal_plan plan;
    fov_nal_plan_make(&plan, data, size, packing, length_size);
    uint8_t *sample = (uint8_t *)malloc(plan.size ? plan.size : 1);
    uint64_t digest = fov_nal_plan_store(&plan, sample);
    CHECK(digest == fov_nal_digest(sample, plan.size, plan.h265));

    fov_nal_reader reader;
    fov_nal nal;
    size_t total = 0;
    int flags = 0;
    fov_nal_reader_init(&reader, sample, plan.size, 4);
    while (fov_nal_next(&reader, &nal)) {
        total += 4 + nal.size;
        flags |= fov_nal_kind(&nal, plan.h265);
    }
    CHECK(!reader.broken && total == plan.size && flags == (plan.flags & ~FOV_CORRUPT));
    CHECK(fov_crc32c(7, sample, plan.size) == fov_crc32c_software(7, sample, plan.size));

    fov_xxh64 pieces;
    fov_xxh64_init(&pieces);
    for (size_t at = 0, step = 1; at < plan.size; at += step, step = step * 3 % 41 + 1) {
        if (step > plan.size - at) step = plan.size - at;
        fov_xxh64_update(&pieces, sample + at, step);
    }
    CHECK(fov_xxh64_final(&pieces) == fov_xxh64_of(sample, plan.size));
    free(sample);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!fov_crc32c_globals.table[0][1]) fov_crc32c_init();
    if (size < 1) return 0;
    uint8_t *exact = (uint8_t *)malloc(size > 1 ? size - 1 : 1);
    memcpy(exact, data + 1, size - 1);
    check(exact, size - 1, 1 + (data[0] & 3), 1 + (data[0] >> 2 & 3));
    free(exact);
    return 0;
}

#ifndef FUZZER
static uint64_t state;

static uint32_t draw(void) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(state >> 33);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    long rounds = strtol(argv[1], NULL, 10);
    state = strtoull(argv[2], NULL, 10);
    for (long round = 0; round < rounds; round++) {
        uint8_t data[600];
        size_t size = 1 + draw() % (round % 8 ? 80 : 599);
        for (size_t i = 0; i < size; i++) {
            uint32_t kind = draw() % 8; /* many zeros and ones: start codes, short lengths */
            data[i] = kind < 4 ? 0 : kind == 4 ? 1 : kind == 5 ? (uint8_t)(draw() % 12) : (uint8_t)draw();
        }
        LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}
#endif
