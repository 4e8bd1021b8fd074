/* Opening a source with libavformat, from any thread and without the interpreter. */
#ifndef FOV_AV_OPEN_H
#define FOV_AV_OPEN_H

#include "fov_av.h"

#include <errno.h>

/* How long a call of the library may take: it asks at least ten times a second. */
typedef struct {
    uint64_t deadline_ns; /* of the monotonic clock; 0 = none */
    uint64_t stopped;     /* set by any thread: nothing may go on */
    uint64_t late;        /* the deadline passed */
} fov_av_patience;

static int fov_av_is_over(void *opaque) {
    fov_av_patience *patience = (fov_av_patience *)opaque;
    if (FOV_LOAD_RELAXED(&patience->stopped)) return 1;
    uint64_t deadline_ns = FOV_LOAD_RELAXED(&patience->deadline_ns);
    if (!deadline_ns || (uint64_t)fov_monotonic_ns() < deadline_ns) return 0;
    FOV_STORE_RELAXED(&patience->late, 1);
    return 1;
}

typedef struct {
    int (*callback)(void *opaque);
    void *opaque;
} fov_av_interruption;

/* Where a context keeps whom it asks: between two numbers that are options, and whose places the library tells. */
static fov_av_interruption *fov_av_find_interruption(const fov_av_library *av, void *context) {
    const fov_av_option *before = av->av_opt_find(context, "err_detect", NULL, 0, 0);
    const fov_av_option *after = av->av_opt_find(context, "fdebug", NULL, 0, 0);
    if (!before || !after || before->offset < (int)sizeof(fov_av_format)) return NULL;
    int place = (before->offset + (int)sizeof(int) + 7) & ~7;
    return after->offset == place + (int)sizeof(fov_av_interruption) ? (fov_av_interruption *)((uint8_t *)context + place) : NULL;
}

/* Numbers that were written into parameters of sound arrive where the library looks for them. */
static int fov_av_fits_sound(const fov_av_library *av, fov_av_parameters *parameters) {
    void *codec = av->avcodec_alloc_context3(NULL);
    int64_t rate = 0;
    if (!codec) return 0;
    parameters->kind = 1;
    parameters->sample_rate = 4711;
    parameters->layout.order = 0; /* only how many there are is known */
    parameters->layout.channels = 3;
    int fits = av->avcodec_parameters_to_context(codec, parameters) >= 0 && av->av_opt_get_int(codec, "ar", 0, &rate) >= 0 && rate == 4711;
    av->avcodec_free_context(&codec);
    return fits;
}

/* Why sources cannot be opened this way; NULL if they can. */
static const char *fov_av_check_open(const fov_av_library *av) {
    void *context = av->avformat_alloc_context();
    if (!context) return "no memory";
    const char *misfit = "contexts are laid out otherwise";
    fov_av_interruption *interruption = fov_av_find_interruption(av, context);
    fov_av_format *format = (fov_av_format *)context;
    if (interruption && !interruption->callback && !interruption->opaque && format->nb_streams == 0) {
        fov_av_stream *stream = av->avformat_new_stream(context, NULL);
        fov_av_parameters *found = stream && format->nb_streams == 1 && format->streams[0] == stream ? stream->parameters : NULL;
        if (found && stream->av_class && stream->index == 0 && stream->start_time == FOV_AV_NOPTS && stream->duration == FOV_AV_NOPTS &&
            stream->aspect.num == 0 && stream->aspect.den == 1 && !stream->metadata && stream->rate.num == 0 &&
            found->kind == -1 && found->codec == 0 && !found->extradata && !found->extradata_size && found->pixels == -1 &&
            found->profile == -99 && found->level == -99 && found->width == 0 && found->height == 0 && found->aspect.num == 0 &&
            found->aspect.den == 1 && found->rate.num == 0 && found->rate.den == 1 && fov_av_fits_sound(av, found))
            misfit = NULL;
    }
    av->avformat_free_context(context);
    return misfit;
}

/* Opens: 0 and the context, or the library's error and NULL. `options` are taken. */
static int fov_av_open(const fov_av_library *av, const char *url, void **options, fov_av_patience *patience, void **context) {
    *context = av->avformat_alloc_context();
    fov_av_interruption *interruption = *context ? fov_av_find_interruption(av, *context) : NULL;
    int code = -ENOMEM;
    if (interruption) {
        interruption->callback = fov_av_is_over;
        interruption->opaque = patience;
        code = av->avformat_open_input(context, url, NULL, options); /* frees the context when it fails */
    }
    av->av_dict_free(options);
    return code;
}

#endif
