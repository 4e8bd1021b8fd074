/* Short byte strings handed from one thread to another without a lock: any thread puts in, one takes out all. */
#ifndef FOV_NOTE_H
#define FOV_NOTE_H

#include "fov_port.h"

#include <stdlib.h>

typedef struct fov_note {
    struct fov_note *next;
    size_t size;
    uint8_t data[];
} fov_note;

/* Newest first. Zero is an empty list. */
typedef struct {
    fov_note *newest;
} fov_notes;

/* Copies and puts in: 1, or 0 without memory. */
static inline int fov_notes_put(fov_notes *list, const void *data, size_t size) {
    fov_note *note = (fov_note *)malloc(sizeof *note + size), *newest;
    if (!note) return 0;
    note->size = size;
    if (size) memcpy(note->data, data, size);
    do {
        newest = (fov_note *)FOV_LOAD_PTR(&list->newest);
        note->next = newest;
    } while (!FOV_SWAP_PTR_IF(&list->newest, newest, note));
    return 1;
}

FOV_INLINE int fov_notes_empty(fov_notes *list) { return FOV_LOAD_PTR(&list->newest) == NULL; }

/* Takes all out, oldest first; the caller frees each. */
static inline fov_note *fov_notes_take(fov_notes *list) {
    fov_note *note, *oldest = NULL;
    if (fov_notes_empty(list)) return NULL;
    note = (fov_note *)FOV_EXCHANGE_PTR(&list->newest, (fov_note *)NULL);
    while (note) {
        fov_note *following = note->next;
        note->next = oldest;
        oldest = note;
        note = following;
    }
    return oldest;
}

static inline void fov_notes_free(fov_notes *list) {
    for (fov_note *note = fov_notes_take(list); note;) {
        fov_note *following = note->next;
        free(note);
        note = following;
    }
}

#endif
