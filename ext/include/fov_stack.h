/* Stacks of threads that needed much for a moment. */
#ifndef FOV_STACK_H
#define FOV_STACK_H

#include <stddef.h>
#include <stdint.h>

#if defined(__linux__)
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

/* Below the caller's frame this much stays. */
enum { FOV_STACK_STAYS = 32768 };

/* Gives the memory of the calling thread's stack that lies far below its present end back to the system: opening a camera
 * takes some 400 KiB of it, reading one 20. Not on the first thread of a process, whose stack has no fixed size. */
static inline void fov_stack_trim(void) {
#if defined(__linux__)
    pthread_attr_t attributes;
    void *low = NULL;
    size_t size = 0;
    if (getpid() == gettid() || pthread_getattr_np(pthread_self(), &attributes)) return;
    int known = pthread_attr_getstack(&attributes, &low, &size) == 0;
    pthread_attr_destroy(&attributes);
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = ((uintptr_t)low + page - 1) & ~(page - 1);
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), end = (here - FOV_STACK_STAYS) & ~(page - 1);
    if (known && here - (uintptr_t)low < size && begin < end) (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
#endif
}

#endif
