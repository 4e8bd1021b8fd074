"""Interrupt libavformat while it blocks in a read, from another thread.

PyAV gives libavformat a callback that compares a deadline with the clock, but lets nobody set the deadline while a
read is under way. Writing it here makes the blocked read return within one poll of libavformat (100 ms), and until
then the callback never needs the interpreter lock. The interface is described in the .pyi.
"""

from cpython.object cimport PyObject, PyTypeObject

cdef extern from "fov_av_container.h":
    ctypedef struct fov_timeout_info:
        double start_time
        double timeout
    ctypedef struct fov_av_container:
        PyObject *name
        PyObject *format
        PyObject *streams
        PyObject *open_timeout
        PyObject *read_timeout
        fov_timeout_info interrupt

cdef extern from *:
    """
    static Py_ssize_t fov_basic_size(PyObject *object) {
        Py_ssize_t size = -1;
        PyObject *value = PyObject_GetAttrString((PyObject *)Py_TYPE(object), "__basicsize__");
        if (value != NULL) { size = PyLong_AsSsize_t(value); Py_DECREF(value); }
        return size;
    }
    """
    Py_ssize_t fov_basic_size(object container) except -1


def can_interrupt(container):
    cdef fov_av_container *fields = <fov_av_container *><PyObject *>container
    if fov_basic_size(container) < <Py_ssize_t>sizeof(fov_av_container):
        return False
    return (
        fields.name == <PyObject *>container.name
        and fields.format == <PyObject *>container.format
        and fields.streams == <PyObject *>container.streams
        and container.open_timeout is not None
        and fields.open_timeout == <PyObject *>container.open_timeout
        and fields.read_timeout == <PyObject *>container.read_timeout
        and fields.interrupt.timeout == -1.0
        and fields.interrupt.start_time > 0.0
    )


def interrupt(container):
    cdef fov_av_container *fields = <fov_av_container *><PyObject *>container
    fields.interrupt.timeout = 0.0
