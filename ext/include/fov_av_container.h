/* The part of av.container.core.Container (PyAV) that an interruption needs. Layout of PyAV 18 and 19, checked at
 * run time before anything is written: see ext/fovideo/camera/_interrupt.pyx. */
#ifndef FOV_AV_CONTAINER_H
#define FOV_AV_CONTAINER_H

#include <Python.h>
#include <stdint.h>

typedef struct {
    double start_time; /* s, monotonic */
    double timeout;    /* s; negative = none */
} fov_timeout_info;

typedef struct {
    PyObject_HEAD
    void *vtab;
    void *format_context;
    PyObject *name;
    PyObject *metadata_encoding;
    PyObject *metadata_errors;
    PyObject *file;
    int buffer_size;
    PyObject *io_open;
    PyObject *open_files;
    PyObject *format;
    PyObject *options;
    PyObject *container_options;
    PyObject *stream_options;
    PyObject *hwaccel;
    PyObject *streams;
    PyObject *metadata;
    uint8_t flags;
    PyObject *open_timeout;
    PyObject *read_timeout;
    fov_timeout_info interrupt;
} fov_av_container;

#endif
