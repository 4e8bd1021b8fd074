/* Fuzzes a flow: any bytes are read as a little program that makes packets (mostly well-formed ones, of which some are
 * lost, swapped, cut or changed) and gives them to the flow; after each step the ring must hold what it promises.
 *
 * As a libFuzzer target: clang -fsanitize=fuzzer,address,undefined -DFOV_LIBFUZZER -I ext/include fuzz_flow.c
 * By itself: fuzz_flow SEED COUNT runs COUNT random programs; fuzz_flow - < FILE runs one.
 */
#include "fov_rtp_demux.h"

#include <stdio.h>

#define CHECK(what) \
    do { \
        if (!(what)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            abort(); \
        } \
    } while (0)

typedef struct {
    const uint8_t *next, *end;
} program;

static unsigned byte_of(program *p) { return p->next < p->end ? *p->next++ : 0; }

typedef struct {
    fov_map map;
    fov_ring ring;
    fov_flow flow;
    int64_t now_ns;
    uint16_t sequence[FOV_FLOW_TRACKS];
    uint32_t timestamp[FOV_FLOW_TRACKS];
    uint8_t late[2048]; /* a packet that is given after its successor */
    size_t late_size;
    int late_track, streamed;
} bench;

static const int FORMS[] = {FOV_TRACK_H264, FOV_TRACK_H265, FOV_TRACK_PACKETS, FOV_TRACK_AAC, FOV_TRACK_DOCUMENTS};

static void set_up(bench *b, unsigned first, unsigned second) {
    memset(b, 0, sizeof *b);
    CHECK(!(first & 1 ? fov_map_plain(&b->map, FOV_MAP_STEP) : fov_map_create(&b->map, FOV_MAP_STEP)));
    CHECK(!fov_ring_open(&b->ring, &b->map, 1));
    b->flow.sink.ring = &b->ring;
    b->flow.session = 1;
    b->flow.format = (const uint8_t *)"format";
    b->flow.format_size = 6;
    b->flow.freeze_ns = INT64_MAX / 2;
    b->streamed = first >> 1 & 1;
    for (int i = 0; i < FOV_FLOW_TRACKS; i++) {
        int form = i ? FORMS[2 + (second >> i) % 3] : FORMS[first >> 2 & 1];
        int number = fov_flow_add(&b->flow, form, i + 1, 96, i ? 8000 : 90000, b->streamed, 1);
        if (form == FOV_TRACK_AAC) {
            b->flow.tracks[number].as.plain.size_bits = 13;
            b->flow.tracks[number].as.plain.index_bits = 3;
        }
        b->flow.channels[2 * i] = (uint8_t)(1 + 2 * i);
        b->flow.channels[2 * i + 1] = (uint8_t)(2 + 2 * i);
        b->sequence[i] = 65000;
    }
}

static void give(bench *b, int track, int rtcp, const uint8_t *packet, size_t size, unsigned cut) {
    b->now_ns += 1000000;
    if (!b->streamed) {
        uint8_t *exact = (uint8_t *)malloc(size ? size : 1); /* so that reading past the end is seen */
        memcpy(exact, packet, size);
        fov_flow_packet(&b->flow, b->flow.tracks + track, rtcp, exact, size, b->now_ns);
        free(exact);
        return;
    }
    uint8_t framed[4 + 4096] = {'$', (uint8_t)(2 * track + rtcp), (uint8_t)(size >> 8), (uint8_t)size};
    memcpy(framed + 4, packet, size);
    size += 4;
    size_t at = cut % (size + 1);
    for (int part = 0; part < 2; part++) {
        size_t length = part ? size - at : at;
        uint8_t *exact = (uint8_t *)malloc(length ? length : 1);
        memcpy(exact, framed + (part ? at : 0), length);
        fov_demux_feed(&b->flow, exact, length, b->now_ns);
        free(exact);
    }
}

static size_t make(bench *b, program *p, int track, uint8_t *packet) {
    unsigned what = byte_of(p), size = byte_of(p) << (what >> 6), fill = byte_of(p);
    uint8_t *body = packet + 12;
    if (what & 1) b->timestamp[track] += 3600;
    packet[0] = 0x80;
    packet[1] = (uint8_t)(96 | (what & 2) << 6);
    packet[2] = (uint8_t)(b->sequence[track] >> 8);
    packet[3] = (uint8_t)b->sequence[track];
    fov_store_u32_be(packet + 4, b->timestamp[track]);
    fov_store_u32_be(packet + 8, 7u + (uint32_t)track);
    b->sequence[track]++;
    for (unsigned i = 0; i < size; i++) body[i] = (uint8_t)(i % 7 ? fill : byte_of(p));
    if (size > 8) {
        int h265 = b->flow.tracks[0].form == FOV_TRACK_H265;
        switch (what >> 2 & 7) {
        case 0: /* a fragment */
        case 1:
        case 2:
            body[0] = h265 ? 49 << 1 : 0x7c;
            if (h265) body[1] = 1;
            body[1 + h265] = (uint8_t)((what >> 2 & 7) == 0 ? 0x85 : (what >> 2 & 7) == 1 ? 5 : 0x45);
            break;
        case 3: /* an aggregate */
            body[0] = h265 ? 48 << 1 : 24;
            body[1 + h265] = 0;
            body[2 + h265] = (uint8_t)(size / 2);
            break;
        case 4: /* AU headers */
            body[0] = 0;
            body[1] = 16;
            body[2] = (uint8_t)((size - 4) >> 5);
            body[3] = (uint8_t)((size - 4) << 3);
            break;
        default:
            if (h265) body[1] = 1;
        }
    }
    return 12 + size;
}

static void step(bench *b, program *p) {
    uint8_t packet[12 + 2048];
    unsigned op = byte_of(p);
    int track = (int)(op >> 4) % FOV_FLOW_TRACKS;
    size_t size;
    switch (op & 15) {
    default:
        size = make(b, p, track, packet);
        give(b, track, 0, packet, size, byte_of(p) * 16);
        break;
    case 8: /* lost */
        make(b, p, track, packet);
        break;
    case 9: /* late */
        if (b->late_size) give(b, b->late_track, 0, b->late, b->late_size, 0);
        size = make(b, p, track, packet);
        b->late_size = size < sizeof b->late ? size : 0;
        b->late_track = track;
        memcpy(b->late, packet, b->late_size);
        break;
    case 10: /* cut, or changed */
        size = make(b, p, track, packet);
        packet[byte_of(p) % size] ^= (uint8_t)byte_of(p);
        give(b, track, 0, packet, byte_of(p) * 8 % (size + 1), 5);
        break;
    case 11: /* reports */
        for (size = 0; size < 60; size++) packet[size] = (uint8_t)byte_of(p);
        packet[0] = (uint8_t)(0x81 | (op & 32));
        packet[1] = (uint8_t)(200 + (packet[1] & 3));
        packet[2] = 0;
        give(b, track, 1, packet, size, 9);
        break;
    case 12: /* any bytes, or a message */
        size = byte_of(p);
        for (size_t i = 0; i < size; i++) packet[i] = (uint8_t)byte_of(p);
        if (op & 16) size = (size_t)sprintf((char *)packet, "RTSP/1.0 200 OK\r\nContent-Length: %u\r\n\r\n", byte_of(p));
        fov_demux_feed(&b->flow, packet, size, b->now_ns);
        fov_notes_free(&b->flow.inbox);
        break;
    case 13: /* the numbers jump */
        b->sequence[track] = (uint16_t)(b->sequence[track] + (byte_of(p) << 8));
        b->timestamp[track] ^= byte_of(p) << 24;
        break;
    case 14: /* time passes */
        b->now_ns += (int64_t)byte_of(p) * 10000000;
        fov_flow_tick(&b->flow, b->now_ns);
        break;
    case 15:
        size = fov_track_report(b->flow.tracks + track, packet, b->now_ns);
        CHECK(size == 0 || size == FOV_RTCP_REPORT_SIZE);
        break;
    }
}

/* fill: bytes that may stay in the ring. */
static void check(bench *b, uint64_t fill) {
    fov_unit_row rows[64];
    for (;;) {
        int64_t count = fov_unit_rows(&b->ring, b->ring.control->tail, 64, UINT64_MAX, rows);
        CHECK(count >= 0);
        if (!count || fov_ring_used(&b->ring) < fill) return;
        for (int64_t i = 0; i < count; i++) {
            const uint8_t *payload = b->ring.data + (uint64_t)rows[i].position % b->ring.capacity;
            if (rows[i].kind != FOV_KIND_FRAME) continue;
            CHECK(rows[i].size > 0 && rows[i].track >= 1 && rows[i].track <= 3 && !(rows[i].flags & ~15));
            if (rows[i].track != FOV_VIDEO_TRACK) {
                CHECK(rows[i].digest == fov_xxh64_of(payload, rows[i].size));
                continue;
            }
            int h265 = b->flow.tracks[0].form == FOV_TRACK_H265, kinds = 0;
            fov_nal_reader reader;
            fov_nal nal;
            fov_nal_reader_init(&reader, payload, rows[i].size, 4);
            while (fov_nal_next(&reader, &nal)) {
                kinds |= fov_nal_kind(&nal, h265);
                CHECK(nal.data[nal.size - 1] != 0);
                CHECK(fov_find_start_code(nal.data, nal.data + nal.size) == nal.data + nal.size);
            }
            CHECK(!reader.broken);
            CHECK((kinds & (FOV_KEY | FOV_PARAMS)) == (rows[i].flags & (FOV_KEY | FOV_PARAMS)));
            CHECK(rows[i].digest == fov_nal_digest(payload, rows[i].size, h265));
        }
        CHECK(!fov_ring_release(&b->ring, (uint64_t)rows[count - 1].end));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    program p = {data, data + size};
    bench *b = (bench *)malloc(sizeof *b);
    unsigned first = byte_of(&p);
    set_up(b, first, byte_of(&p));
    while (p.next < p.end && b->flow.end == FOV_END_NONE) {
        step(b, &p);
        check(b, first & 8 ? FOV_MAP_STEP / 2 : first & 16 && b->flow.sink.frames % 32 ? FOV_MAP_STEP + 1 : 0);
    }
    fov_flow_close(&b->flow);
    check(b, 0);
    CHECK(b->flow.sink.frames >= b->flow.sink.dropped);
    fov_flow_free(&b->flow);
    fov_map_close(&b->map);
    free(b);
    return 0;
}

#if !defined(FOV_LIBFUZZER)
static uint64_t chance = 1;

static uint64_t roll(void) {
    chance ^= chance << 13;
    chance ^= chance >> 7;
    return chance ^= chance << 17;
}

int main(int count, char **arguments) {
    static uint8_t data[1 << 16];
    if (count == 2) return LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof data, stdin));
    if (count != 3) return 2;
    chance = strtoull(arguments[1], NULL, 10) * 2 + 1;
    for (unsigned long left = strtoul(arguments[2], NULL, 10); left; left--) {
        size_t size = roll() % (roll() & 7 ? 4000 : sizeof data);
        for (size_t i = 0; i < size; i++) data[i] = (uint8_t)(roll() >> 32);
        LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}
#endif
