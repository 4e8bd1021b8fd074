/* The little of libavformat that opening a camera and reading its packets needs, without its headers and without linking it.
 *
 * The functions come by address from the copy that PyAV has loaded. How its structures are laid out is proven on
 * structures that the library itself makes, before any is used (fov_av_check here and fov_av_check_open in fov_av_open.h).
 */
#ifndef FOV_AV_H
#define FOV_AV_H

#include "fov_port.h"

#if defined(__linux__)
#include <time.h>
#endif

#define FOV_AV_NOPTS ((int64_t)0x8000000000000000ULL)

enum { FOV_AV_PKT_CORRUPT = 2, FOV_AV_PRFT = 27, FOV_AV_OLDEST = 62, FOV_AV_NEWEST = 62 };

typedef struct {
    void *buf;
    int64_t pts, dts;
    uint8_t *data;
    int size, stream_index, flags;
    void *side_data;
    int side_data_elems;
    int64_t duration, pos;
} fov_av_packet;

typedef struct {
    const void *av_class;
    const void *iformat, *oformat;
    void *priv_data, *pb;
    int ctx_flags;
    unsigned int nb_streams;
    struct fov_av_stream **streams;
} fov_av_format;

typedef struct {
    int num, den;
} fov_av_ratio;

/* AVCodecParameters up to the sample rate. */
typedef struct {
    int kind; /* 0 video, 1 audio, 2 data */
    int codec;
    uint32_t tag;
    uint8_t *extradata;
    int extradata_size;
    void *side_data;
    int side_data_elems, pixels;
    int64_t bit_rate;
    int coded_bits, raw_bits, profile, level, width, height;
    fov_av_ratio aspect, rate;
    int field_order, range, primaries, transfer, space, chroma, delay;
    struct {
        int order, channels;
        uint64_t mask;
        void *opaque;
    } layout;
    int sample_rate;
} fov_av_parameters;

typedef struct fov_av_stream {
    const void *av_class;
    int index, id;
    fov_av_parameters *parameters;
    void *priv_data;
    fov_av_ratio time_base;
    int64_t start_time, duration, frames;
    int disposition, discard;
    fov_av_ratio aspect;
    void *metadata;
    fov_av_ratio rate; /* of frames, as told */
} fov_av_stream;

typedef struct {
    const char *name, *help;
    int offset;
} fov_av_option;

typedef struct {
    unsigned (*avcodec_version)(void);
    unsigned (*avformat_version)(void);
    fov_av_packet *(*av_packet_alloc)(void);
    void (*av_packet_free)(fov_av_packet **packet);
    void (*av_packet_unref)(fov_av_packet *packet);
    int (*av_new_packet)(fov_av_packet *packet, int size);
    uint8_t *(*av_packet_new_side_data)(fov_av_packet *packet, int type, size_t size);
    uint8_t *(*av_packet_get_side_data)(const fov_av_packet *packet, int type, size_t *size);
    const char *(*av_packet_side_data_name)(int type);
    int (*av_read_frame)(void *context, fov_av_packet *packet);
    void *(*avformat_alloc_context)(void);
    void (*avformat_free_context)(void *context);
    int (*avformat_open_input)(void **context, const char *url, const void *format, void **options);
    void (*avformat_close_input)(void **context);
    int (*avformat_find_stream_info)(void *context, void **options);
    fov_av_stream *(*avformat_new_stream)(void *context, const void *codec);
    int (*av_read_play)(void *context);
    int (*av_dict_set)(void **options, const char *key, const char *value, int flags);
    void (*av_dict_free)(void **options);
    const fov_av_option *(*av_opt_find)(void *object, const char *name, const char *unit, int flags, int search_flags);
    const char *(*avcodec_get_name)(int codec);
    void *(*avcodec_alloc_context3)(const void *codec);
    void (*avcodec_free_context)(void **context);
    int (*avcodec_parameters_to_context)(void *context, const fov_av_parameters *parameters);
    int (*av_opt_get_int)(void *object, const char *name, int search_flags, int64_t *value);
} fov_av_library;

/* Why the library cannot be driven this way; NULL if it can. */
static inline const char *fov_av_check(const fov_av_library *av) {
    unsigned codec = av->avcodec_version() >> 16, format = av->avformat_version() >> 16;
    if (codec < FOV_AV_OLDEST || codec > FOV_AV_NEWEST || format != codec) return "a version that was not looked at";
    const char *name = av->av_packet_side_data_name(FOV_AV_PRFT);
    if (!name || strcmp(name, "Producer Reference Time")) return "side data is numbered otherwise";
    fov_av_packet *packet = av->av_packet_alloc();
    if (!packet) return "no memory";
    size_t size = 0;
    int fits = packet->pts == FOV_AV_NOPTS && packet->dts == FOV_AV_NOPTS && packet->pos == -1 && !packet->data &&
               av->av_new_packet(packet, 4711) == 0 && packet->size == 4711 && packet->data && packet->buf &&
               packet->side_data_elems == 0 && av->av_packet_new_side_data(packet, FOV_AV_PRFT, 16) &&
               packet->side_data_elems == 1 && packet->side_data &&
               av->av_packet_get_side_data(packet, FOV_AV_PRFT, &size) && size == 16;
    av->av_packet_free(&packet);
    return fits ? NULL : "packets are laid out otherwise";
}

/* Where the packets of a stream go. track 0: they are not recorded. */
typedef struct {
    int64_t numerator, denominator; /* seconds per tick */
    uint8_t track, packing, length_size, flags;
    uint8_t by_hand; /* given to Python instead */
} fov_av_lane;

/* Nanoseconds of ticks, rounded down. */
FOV_INLINE int64_t fov_av_pts_ns(int64_t pts, const fov_av_lane *lane) {
#if defined(__SIZEOF_INT128__)
    __int128 product = (__int128)pts * lane->numerator * 1000000000, ns = product / lane->denominator;
    return (int64_t)(ns - (product % lane->denominator < 0));
#else
    (void)lane;
    return pts; /* not reached: only Linux drives the library */
#endif
}

/* Wall clock (ns) that goes with the packet by sender reports or a prft box, or FOV_AV_NOPTS. */
FOV_INLINE int64_t fov_av_wall_ns(const fov_av_library *av, const fov_av_packet *packet) {
    size_t size = 0;
    if (!packet->side_data_elems) return FOV_AV_NOPTS;
    const uint8_t *data = av->av_packet_get_side_data(packet, FOV_AV_PRFT, &size);
    return data && size >= 8 ? (int64_t)fov_load_u64(data) * 1000 : FOV_AV_NOPTS;
}

/* The clock of time.monotonic_ns(). */
FOV_INLINE int64_t fov_monotonic_ns(void) {
#if defined(__linux__)
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
#else
    return 0; /* not reached: only Linux drives the library */
#endif
}

#endif
