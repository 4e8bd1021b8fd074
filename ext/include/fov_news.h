/* What a thread without the interpreter lock has to tell one that may take it.
 *
 * News are bits of a word; the first ones put its number into a pipe, from which the other thread wakes up and takes all.
 * So one entry a teller is in the pipe at most, and telling never waits.
 */
#ifndef FOV_NEWS_H
#define FOV_NEWS_H

#include "fov_port.h"

#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

/* 1, or 0 if nobody will hear of it: then the teller has to see to it. */
FOV_INLINE int fov_news_tell(uint64_t *news, uint64_t bits, int pipe, uint64_t number) {
    if (FOV_FETCH_OR(news, bits)) return 1;
#ifdef _WIN32
    return _write(pipe, &number, sizeof number) == sizeof number;
#else
    return write(pipe, &number, sizeof number) == sizeof number;
#endif
}

#endif
