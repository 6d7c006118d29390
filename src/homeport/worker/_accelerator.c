/* The worker's loop in C, for the requests that nginx usually sends.
 *
 * It takes a connection, reads a request that came whole, builds the environ, runs the application and writes the response. For
 * everything else it calls the Python that the pure loop uses: `slow` serves a connection from its first bytes,
 * `complete` finishes an environ, `render` checks and renders a head, `failed` reports a failure and answers it. So
 * there is one meaning of each, and only the usual case is written twice.
 *
 * Built for the limited API of CPython 3.6: one binary for every later version. Every length in a record is checked
 * against the bytes that were received before it is used.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RECEIVE_SIZE 65536
#define HEAD_SIZE 2048       /* header lines kept in place; longer ones stay a bytes object */
#define COPY_LIMIT 4096      /* below this, one buffer and send() cost less than sendmsg() */
#define MAX_CONTENT 65528    /* content of one STDOUT record, see fastcgi.MAX_CONTENT */
#define RECORDS_AT_ONCE 128
#define NAP_MILLISECONDS 5000 /* see serving._NAP_SECONDS */
#define NAMES 1024           /* power of two; three quarters are used at most */
#define LONGEST_KEPT_VALUE 512

/* serving.ENDED, KEPT, GONE */
enum { ENDED, KEPT, GONE };

/* homeport.worker.scoreboard */
#define SLOT_SIZE 512
#define STATE_IDLE 2
#define STATE_BUSY 3
#define URL_SIZE 448

typedef struct {
    uint32_t state, pid;
    uint64_t request_started, requests, last_activity, ready_at;
    uint32_t connection, reserved;
    uint16_t url_length;
    char url[URL_SIZE];
} Slot;

/* The parameters that `complete` reads. */
enum { METHOD, URI, PATH, TYPE, LENGTH, ADDRESS, PORT, HTTPS, NEEDED, FORWARDED = NEEDED, HTTP_TYPE, HTTP_LENGTH, SENT_URL,
       KNOWN };

static const char *const known_names[KNOWN] = {
    "REQUEST_METHOD", "REQUEST_URI", "PATH_INFO", "CONTENT_TYPE", "CONTENT_LENGTH", "REMOTE_ADDR", "REMOTE_PORT",
    "HTTPS", "HTTP_X_FORWARDED_FOR", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "URL",
};

/* The keys that `complete` sets. */
enum { URL, UNENCODED, ORIGINAL, TRANSLATED, FILENAME, HOST, PROTO, SECURE, SCRIPT, SCHEME, INPUT, DERIVED };

static const char *const derived_names[DERIVED] = {
    "URL", "UNENCODED_URL", "HTTP_X_ORIGINAL_URL", "PATH_TRANSLATED", "SCRIPT_FILENAME", "REMOTE_HOST",
    "HTTP_X_FORWARDED_PROTO", "SERVER_PORT_SECURE", "SCRIPT_NAME", "wsgi.url_scheme", "wsgi.input",
};

/* A parameter's name that was met before, and its last value: both mostly are the same again. */
typedef struct {
    uint32_t hash;
    int known; /* index of known_names, or -1 */
    PyObject *key;
    const char *name;
    Py_ssize_t name_size;
    PyObject *value;
    Py_ssize_t value_size;
    char *value_bytes; /* LONGEST_KEPT_VALUE of them, from the first value on */
} Name;

typedef struct {
    PyObject *value; /* borrowed from the environ */
    const char *bytes;
    Py_ssize_t size;
} Param;

typedef struct Exchange Exchange;

/* Everything of one call of serve(). */
typedef struct {
    PyObject *application, *template, *root, *complete, *render, *slow, *failed, *drain_wake, *client_gone, *bytesio;
    PyObject *fetch, *keep, *discard;
    PyObject *statuses, *prefixes, *kinds;
    PyObject *derived[DERIVED];
    PyObject *known[KNOWN];
    PyObject *empty, *zero, *one, *on, *off, *http, *https;
    PyTypeObject *exchange_type;
    Exchange *spare;
    Slot *slot, own_slot;
    int simple, listener, epoll, wake;
    int first, shared; /* the numbers of shared connections; none: each request comes on a connection of its own */
    unsigned armed;
    unsigned char *met; /* of `shared` numbers: whether we have a descriptor */
    uint32_t connection; /* the shared one in hand, 0 for none */
    int has_request;     /* that has begun and not ended */
    unsigned names_used;
    Name *names;
    unsigned char *buffer;
} Loop;

struct Exchange {
    PyObject_HEAD
    Loop *loop;
    int fd; /* -1 when the request is over */
    int is_head, bodiless, started, head_sent, ended;
    long long left; /* bytes of body that Content-Length still allows; -1 without one */
    PyObject *long_head; /* when it does not fit */
    Py_ssize_t head_size;
    char head[8 + HEAD_SIZE + 64]; /* room for the record's header in front, Content-Length and the empty line behind */
};

/* SIGTERM has come: take no other request. */
static volatile int stopping;

static const char end_of_output[24] = {
    1, 6, 0, 1, 0, 0, 0, 0, 1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

static uint64_t now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static void record_header(char *at, size_t content)
{
    at[0] = 1;
    at[1] = 6;
    at[2] = 0;
    at[3] = 1;
    at[4] = (char)(content >> 8);
    at[5] = (char)content;
    at[6] = at[7] = 0;
}

/* ---- output */

/* Wait without the GIL; 1 when ready, 0 after the time, -1 with an exception. */
static int wait_ready(int fd, short events, int milliseconds)
{
    struct pollfd one = {fd, events, 0};
    for (;;) {
        int found;
        Py_BEGIN_ALLOW_THREADS
        found = poll(&one, 1, milliseconds);
        Py_END_ALLOW_THREADS
        if (found >= 0)
            return found > 0;
        if (errno != EINTR) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        if (PyErr_CheckSignals() < 0)
            return -1;
    }
}

/* After a failed write: 0 to try again, -1 with an exception. */
static int write_failed(Loop *loop, int fd)
{
    if (errno == EAGAIN)
        return wait_ready(fd, POLLOUT, -1) < 0 ? -1 : 0;
    if (errno == EINTR)
        return PyErr_CheckSignals();
    if (errno == EPIPE || errno == ECONNRESET || errno == ECONNABORTED)
        PyErr_SetString(loop->client_gone, strerror(errno));
    else
        PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

static int send_bytes(Loop *loop, int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (write_failed(loop, fd) < 0)
                return -1;
            continue;
        }
        data += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int send_vectors(Loop *loop, int fd, struct iovec *vectors, size_t count)
{
    while (count) {
        struct msghdr message = {0};
        message.msg_iov = vectors;
        message.msg_iovlen = count;
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (write_failed(loop, fd) < 0)
                return -1;
            continue;
        }
        size_t left = (size_t)sent;
        while (count && left >= vectors->iov_len) {
            left -= vectors->iov_len;
            vectors++;
            count--;
        }
        if (count) {
            vectors->iov_base = (char *)vectors->iov_base + left;
            vectors->iov_len -= left;
        }
    }
    return 0;
}

/* Send data as STDOUT records, and the end behind the last. */
static int send_records(Loop *loop, int fd, const char *data, size_t size, int last)
{
    char headers[RECORDS_AT_ONCE][8];
    struct iovec vectors[2 * RECORDS_AT_ONCE + 1];
    while (size || last) {
        size_t count = 0, record = 0;
        for (; size && record < RECORDS_AT_ONCE; record++) {
            size_t content = size < MAX_CONTENT ? size : MAX_CONTENT;
            record_header(headers[record], content);
            vectors[count].iov_base = headers[record];
            vectors[count++].iov_len = 8;
            vectors[count].iov_base = (char *)data;
            vectors[count++].iov_len = content;
            data += content;
            size -= content;
        }
        if (!size && last) {
            vectors[count].iov_base = (char *)end_of_output;
            vectors[count++].iov_len = sizeof end_of_output;
            last = 0;
        }
        if (send_vectors(loop, fd, vectors, count) < 0)
            return -1;
        __atomic_store_n(&loop->slot->last_activity, now(), __ATOMIC_RELAXED);
    }
    return 0;
}

/* Send head (may be empty) and data in the fewest calls. The head is in `buffer` behind eight free bytes. */
static int transmit(Exchange *exchange, char *buffer, size_t head_size, size_t capacity, const char *data, size_t size,
                    int last)
{
    Loop *loop = exchange->loop;
    char small[8 + COPY_LIMIT + sizeof end_of_output];
    size_t total = head_size + size;
    size_t tail = last ? sizeof end_of_output : 0;
    if (!total || total > MAX_CONTENT) {
        if (head_size) {
            if (send_records(loop, exchange->fd, buffer + 8, head_size, 0) < 0)
                return -1;
        }
        return send_records(loop, exchange->fd, data, size, last);
    }
    if (total <= COPY_LIMIT) {
        char *whole = buffer;
        if (!buffer || 8 + total + tail > capacity) {
            whole = small;
            if (head_size)
                memcpy(whole + 8, buffer + 8, head_size);
        }
        record_header(whole, total);
        if (size)
            memcpy(whole + 8 + head_size, data, size);
        memcpy(whole + 8 + total, end_of_output, tail);
        if (send_bytes(loop, exchange->fd, whole, 8 + total + tail) < 0)
            return -1;
    } else {
        struct iovec vectors[3];
        char *start = buffer ? buffer : small;
        record_header(start, total);
        vectors[0].iov_base = start;
        vectors[0].iov_len = 8 + head_size;
        vectors[1].iov_base = (char *)data;
        vectors[1].iov_len = size;
        vectors[2].iov_base = (char *)end_of_output;
        vectors[2].iov_len = tail;
        if (send_vectors(loop, exchange->fd, vectors, 3) < 0)
            return -1;
    }
    if (!last)
        __atomic_store_n(&loop->slot->last_activity, now(), __ATOMIC_RELAXED);
    return 0;
}

/* Send a part of the response: the head if it has not left, then data. */
static int send_part(Exchange *exchange, const char *data, size_t size, int last)
{
    if (exchange->head_sent) {
        exchange->ended |= last;
        return transmit(exchange, NULL, 0, 0, data, size, last);
    }
    exchange->head_sent = 1;
    exchange->ended |= last;
    if (!exchange->long_head) {
        memcpy(exchange->head + 8 + exchange->head_size, "\r\n", 2);
        return transmit(exchange, exchange->head, (size_t)exchange->head_size + 2, sizeof exchange->head, data, size,
                        last);
    }
    Py_ssize_t head_size = PyBytes_Size(exchange->long_head);
    char *copy = PyMem_Malloc((size_t)head_size + 10);
    if (!copy) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(copy + 8, PyBytes_AsString(exchange->long_head), (size_t)head_size);
    memcpy(copy + 8 + head_size, "\r\n", 2);
    int result = transmit(exchange, copy, (size_t)head_size + 2, (size_t)head_size + 10, data, size, last);
    PyMem_Free(copy);
    return result;
}

static int need_start(Exchange *exchange)
{
    if (exchange->started)
        return 0;
    PyErr_SetString(PyExc_AssertionError, "start_response has not yet been called");
    return -1;
}

static int finish(Exchange *exchange)
{
    return need_start(exchange) < 0 ? -1 : send_part(exchange, "", 0, 1);
}

/* response.Response._emit */
static int emit(Exchange *exchange, const char *data, Py_ssize_t size)
{
    if (!exchange->head_sent) {
        if (need_start(exchange) < 0)
            return -1;
        if (exchange->bodiless)
            return finish(exchange);
    }
    if (exchange->left < 0)
        return send_part(exchange, data, (size_t)size, 0);
    if (exchange->left > size) {
        exchange->left -= size;
        return send_part(exchange, data, (size_t)size, 0);
    }
    return send_part(exchange, data, (size_t)exchange->left, 1);
}

static int chunk_bytes(PyObject *chunk, char **data, Py_ssize_t *size)
{
    if (PyBytes_Check(chunk))
        return PyBytes_AsStringAndSize(chunk, data, size);
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(chunk), "__name__");
    if (name) {
        PyErr_Format(PyExc_TypeError, "the application must yield bytes, not %R", name);
        Py_DECREF(name);
    }
    return -1;
}

/* response.Response._send_only */
static int send_only(Exchange *exchange, PyObject *chunk)
{
    char *data;
    Py_ssize_t size;
    if (chunk_bytes(chunk, &data, &size) < 0 || need_start(exchange) < 0)
        return -1;
    if (exchange->left < 0 && !exchange->head_sent && (!exchange->bodiless || (exchange->is_head && size))) {
        char line[48];
        int length = snprintf(line, sizeof line, "Content-Length: %lld\r\n", (long long)size);
        if (exchange->long_head) {
            PyObject *more = PyBytes_FromStringAndSize(line, length);
            PyBytes_ConcatAndDel(&exchange->long_head, more);
            if (!exchange->long_head)
                return -1;
        } else {
            memcpy(exchange->head + 8 + exchange->head_size, line, (size_t)length);
            exchange->head_size += length;
        }
        exchange->left = size;
    }
    if (size && !exchange->ended && emit(exchange, data, size) < 0)
        return -1;
    return exchange->ended ? 0 : finish(exchange);
}

/* response.Response.send */
static int send_result(Exchange *exchange, PyObject *result)
{
    if (PyList_CheckExact(result) && PyList_Size(result) == 1) {
        PyObject *chunk = PyList_GetItem(result, 0);
        Py_INCREF(chunk);
        int sent = send_only(exchange, chunk);
        Py_DECREF(chunk);
        return sent;
    }
    if (PyTuple_CheckExact(result) && PyTuple_Size(result) == 1)
        return send_only(exchange, PyTuple_GetItem(result, 0));
    PyObject *iterator = PyObject_GetIter(result);
    if (!iterator)
        return -1;
    PyObject *chunk;
    int failed = 0, enough = 0;
    while (!failed && !enough && (chunk = PyIter_Next(iterator))) {
        char *data;
        Py_ssize_t size;
        failed = chunk_bytes(chunk, &data, &size) < 0;
        if (!failed && size) {
            enough = exchange->ended;
            if (!enough) {
                failed = emit(exchange, data, size) < 0;
                enough = exchange->bodiless;
            }
        }
        Py_DECREF(chunk);
    }
    Py_DECREF(iterator);
    if (failed || PyErr_Occurred())
        return -1;
    return exchange->ended ? 0 : finish(exchange);
}

/* ---- start_response and write */

/* The bytes of `Name: ` behind one byte that is 1 for Content-Length; NULL without an exception for a name that Python
 * has to look at. Borrowed. */
static PyObject *prefix(Loop *loop, PyObject *name)
{
    PyObject *found = PyDict_GetItem(loop->prefixes, name);
    if (found)
        return found;
    PyObject *kind = PyDict_GetItem(loop->kinds, name);
    if (!kind || !PyUnicode_Check(name))
        return NULL;
    PyObject *text = PyUnicode_AsLatin1String(name);
    if (!text) {
        PyErr_Clear();
        return NULL;
    }
    PyObject *bytes = PyBytes_FromFormat("%c%s: ", PyLong_AsLong(kind) ? 1 : 2, PyBytes_AsString(text));
    Py_DECREF(text);
    if (!bytes || PyDict_SetItem(loop->prefixes, name, bytes) < 0) {
        Py_XDECREF(bytes);
        PyErr_Clear();
        return NULL;
    }
    Py_DECREF(bytes); /* the dictionary holds it; kinds bounds how many there are */
    return bytes;
}

/* Copy text as latin-1; the new size, or -1 without an exception for what Python has to look at. */
static Py_ssize_t append_text(char *head, Py_ssize_t size, PyObject *text)
{
    if (!PyUnicode_Check(text))
        return -1;
    PyObject *bytes = PyUnicode_AsLatin1String(text);
    if (!bytes) {
        PyErr_Clear();
        return -1;
    }
    Py_ssize_t length = PyBytes_Size(bytes);
    const char *from = PyBytes_AsString(bytes);
    if (size + length + 2 > HEAD_SIZE) {
        size = -1;
    } else {
        char bad = 0;
        for (Py_ssize_t at = 0; at < length; at++) {
            char c = from[at];
            head[size + at] = c;
            bad |= (c == '\r') | (c == '\n') | (c == 0);
        }
        size = bad ? -1 : size + length;
        if (!bad) {
            head[size++] = '\r';
            head[size++] = '\n';
        }
    }
    Py_DECREF(bytes);
    return size;
}

/* Render the usual head; 0 when done, 1 for what Python has to look at. */
static int render_quickly(Exchange *exchange, PyObject *status, PyObject *headers)
{
    Loop *loop = exchange->loop;
    char *head = exchange->head + 8;
    if (!PyUnicode_Check(status) || !PyList_Check(headers))
        return 1;
    PyObject *bodiless = PyDict_GetItem(loop->statuses, status);
    if (!bodiless)
        return 1;
    memcpy(head, "Status: ", 8);
    Py_ssize_t size = append_text(head, 8, status);
    long long left = -1;
    for (Py_ssize_t at = 0; size > 0 && at < PyList_Size(headers); at++) {
        PyObject *pair = PyList_GetItem(headers, at);
        if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2)
            return 1;
        PyObject *start = prefix(loop, PyTuple_GetItem(pair, 0));
        if (!start)
            return 1;
        Py_ssize_t length = PyBytes_Size(start) - 1;
        const char *bytes = PyBytes_AsString(start);
        if (size + length > HEAD_SIZE)
            return 1;
        memcpy(head + size, bytes + 1, (size_t)length);
        Py_ssize_t value_at = size + length;
        size = append_text(head, value_at, PyTuple_GetItem(pair, 1));
        if (size > 0 && bytes[0] == 1) {
            if (size - 2 == value_at || size - 2 - value_at > 15)
                return 1;
            left = 0;
            for (Py_ssize_t digit = value_at; digit < size - 2; digit++) {
                if (head[digit] < '0' || head[digit] > '9')
                    return 1;
                left = left * 10 + (head[digit] - '0');
            }
        }
    }
    if (size < 0)
        return 1;
    exchange->head_size = size;
    exchange->left = left;
    exchange->bodiless = exchange->is_head || bodiless == Py_True;
    return 0;
}

/* heads.Heads.render */
static int render_in_python(Exchange *exchange, PyObject *status, PyObject *headers)
{
    PyObject *head, *length, *bodiless;
    PyObject *rendered = PyObject_CallFunctionObjArgs(exchange->loop->render, status, headers, NULL);
    if (!rendered)
        return -1;
    int result = -1;
    if (PyArg_ParseTuple(rendered, "SOO", &head, &length, &bodiless)) {
        exchange->left = length == Py_None ? -1 : PyLong_AsLongLong(length);
        exchange->bodiless = exchange->is_head || bodiless == Py_True;
        if (PyBytes_Size(head) <= HEAD_SIZE) {
            exchange->head_size = PyBytes_Size(head);
            memcpy(exchange->head + 8, PyBytes_AsString(head), (size_t)exchange->head_size);
        } else {
            Py_INCREF(head);
            exchange->long_head = head;
        }
        result = PyErr_Occurred() ? -1 : 0;
    }
    Py_DECREF(rendered);
    return result;
}

static PyObject *write_method(PyObject *self, PyObject *chunk)
{
    Exchange *exchange = (Exchange *)self;
    char *data;
    Py_ssize_t size;
    if (chunk_bytes(chunk, &data, &size) < 0)
        return NULL;
    if (size && !exchange->ended && emit(exchange, data, size) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef write_definition = {
    "write", write_method, METH_O, "PEP 3333's older way to send: pass bytes on at once.",
};

/* Replacing a head needs an exception: raise it when the head has left. */
static int check_restart(Exchange *exchange, PyObject *exc_info)
{
    if (!exc_info || exc_info == Py_None) {
        if (exchange->started) {
            PyErr_SetString(PyExc_AssertionError, "start_response has already been called");
            return -1;
        }
        return 0;
    }
    if (exchange->head_sent) {
        PyObject *type, *value, *traceback;
        if (PyArg_ParseTuple(exc_info, "OOO", &type, &value, &traceback)) {
            Py_INCREF(type);
            Py_INCREF(value);
            Py_XINCREF(traceback == Py_None ? NULL : traceback);
            PyErr_Restore(type, value, traceback == Py_None ? NULL : traceback);
        }
        return -1;
    }
    return 0;
}

static PyObject *start_response(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"status", "headers", "exc_info", NULL};
    Exchange *exchange = (Exchange *)self;
    PyObject *status, *headers, *exc_info = NULL;
    if (keywords) {
        if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|O", names, &status, &headers, &exc_info))
            return NULL;
    } else if (!PyArg_UnpackTuple(args, "start_response", 2, 3, &status, &headers, &exc_info)) {
        return NULL;
    }
    if (check_restart(exchange, exc_info) < 0)
        return NULL;
    if (exchange->ended) {
        PyErr_SetString(PyExc_AssertionError, "start_response was called after the end of its request");
        return NULL;
    }
    Py_CLEAR(exchange->long_head);
    if (render_quickly(exchange, status, headers) && render_in_python(exchange, status, headers) < 0)
        return NULL;
    exchange->started = 1;
    return PyCFunction_NewEx(&write_definition, self, NULL);
}

static void exchange_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_CLEAR(((Exchange *)self)->long_head);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyType_Slot exchange_slots[] = {
    {Py_tp_call, start_response},
    {Py_tp_dealloc, exchange_dealloc},
    {Py_tp_doc, "PEP 3333's start_response of one request."},
    {0, NULL},
};

static PyType_Spec exchange_spec = {
    "homeport.worker._accelerator.Exchange", sizeof(Exchange), 0, Py_TPFLAGS_DEFAULT, exchange_slots,
};

static Exchange *new_exchange(Loop *loop, int fd, int is_head)
{
    Exchange *exchange = loop->spare;
    loop->spare = NULL;
    if (!exchange) {
        allocfunc allocate = (allocfunc)PyType_GetSlot(loop->exchange_type, Py_tp_alloc);
        exchange = (Exchange *)allocate(loop->exchange_type, 0);
        if (!exchange)
            return NULL;
        exchange->long_head = NULL;
    }
    exchange->loop = loop;
    exchange->fd = fd;
    exchange->is_head = exchange->bodiless = is_head;
    exchange->started = exchange->head_sent = exchange->ended = 0;
    exchange->left = -1;
    exchange->head_size = 0;
    return exchange;
}

/* A kept start_response or write must reach no later request: only an exchange that nobody else holds is used again. */
static void release_exchange(Loop *loop, Exchange *exchange)
{
    exchange->fd = -1;
    exchange->ended = 1;
    exchange->loop = loop;
    Py_CLEAR(exchange->long_head);
    if (!loop->spare && Py_REFCNT(exchange) == 1)
        loop->spare = exchange;
    else
        Py_DECREF(exchange);
}

/* ---- the environ */

static Name *find_name(Loop *loop, const char *name, Py_ssize_t size)
{
    uint32_t hash = 2166136261u;
    for (Py_ssize_t at = 0; at < size; at++)
        hash = (hash ^ (unsigned char)name[at]) * 16777619u;
    for (unsigned place = hash;; place++) {
        Name *entry = &loop->names[place & (NAMES - 1)];
        if (!entry->key) {
            if (loop->names_used >= NAMES * 3 / 4)
                return NULL;
            entry->key = PyUnicode_DecodeLatin1(name, size, NULL);
            char *copy = PyMem_Malloc((size_t)size + 1);
            if (!entry->key || !copy) {
                Py_CLEAR(entry->key);
                PyMem_Free(copy);
                PyErr_Clear();
                return NULL;
            }
            PyUnicode_InternInPlace(&entry->key);
            memcpy(copy, name, (size_t)size);
            entry->name = copy;
            entry->name_size = size;
            entry->hash = hash;
            entry->known = -1;
            for (int index = 0; index < KNOWN; index++)
                if (strlen(known_names[index]) == (size_t)size && !memcmp(known_names[index], name, (size_t)size))
                    entry->known = index;
            loop->names_used++;
            return entry;
        }
        if (entry->hash == hash && entry->name_size == size && !memcmp(entry->name, name, (size_t)size))
            return entry;
    }
}

/* The value as text: the object of last time when the bytes are those of last time. A new reference. */
static PyObject *value_text(Name *entry, const char *value, Py_ssize_t size)
{
    if (entry->value && entry->value_size == size && !memcmp(entry->value_bytes, value, (size_t)size)) {
        Py_INCREF(entry->value);
        return entry->value;
    }
    PyObject *text = PyUnicode_DecodeLatin1(value, size, NULL);
    if (text && !entry->value_bytes)
        entry->value_bytes = malloc(LONGEST_KEPT_VALUE);
    if (text && size <= LONGEST_KEPT_VALUE && entry->value_bytes) {
        Py_XDECREF(entry->value);
        Py_INCREF(text);
        entry->value = text;
        entry->value_size = size;
        memcpy(entry->value_bytes, value, (size_t)size);
    }
    return text;
}

static int set_param(Loop *loop, PyObject *env, const char *name, Py_ssize_t name_size, const char *value,
                     Py_ssize_t size, Param *params)
{
    Name *entry = find_name(loop, name, name_size);
    PyObject *key = entry ? entry->key : PyUnicode_DecodeLatin1(name, name_size, NULL);
    PyObject *text = key ? (entry ? value_text(entry, value, size) : PyUnicode_DecodeLatin1(value, size, NULL)) : NULL;
    int result = text ? PyDict_SetItem(env, key, text) : -1;
    if (!result && entry && entry->known >= 0) {
        params[entry->known].value = text; /* the environ holds it */
        params[entry->known].bytes = value;
        params[entry->known].size = size;
    }
    Py_XDECREF(text);
    if (!entry)
        Py_XDECREF(key);
    return result;
}

/* Read one length; the bytes it took, 0 when there are too few. */
static int read_length(const unsigned char *at, const unsigned char *end, Py_ssize_t *length)
{
    if (at < end && *at < 128) {
        *length = *at;
        return 1;
    }
    if (end - at < 4)
        return 0;
    *length = (Py_ssize_t)(((uint32_t)(at[0] & 127) << 24) | ((uint32_t)at[1] << 16) | ((uint32_t)at[2] << 8) | at[3]);
    return 4;
}

/* Read the parameters; 1 when they are malformed, -1 with an exception. */
static int read_params(Loop *loop, PyObject *env, const unsigned char *at, const unsigned char *end, Param *params)
{
    while (at < end) {
        Py_ssize_t name_size, value_size;
        int taken = read_length(at, end, &name_size);
        if (!taken)
            return 1;
        at += taken;
        taken = read_length(at, end, &value_size);
        if (!taken)
            return 1;
        at += taken;
        if (name_size > end - at || value_size > end - at - name_size)
            return 1;
        if (set_param(loop, env, (const char *)at, name_size, (const char *)at + name_size, value_size, params) < 0)
            return -1;
        at += name_size + value_size;
    }
    return 0;
}

static int set_forwarded(Loop *loop, PyObject *env, const Param *params)
{
    const Param *address = &params[ADDRESS], *port = &params[PORT], *forwarded = &params[FORWARDED];
    char text[1024];
    char *at = text;
    int brackets = memchr(address->bytes, ':', (size_t)address->size) != NULL;
    if (forwarded->value && forwarded->size) {
        memcpy(at, forwarded->bytes, (size_t)forwarded->size);
        at += forwarded->size;
        *at++ = ',';
        *at++ = ' ';
    }
    if (brackets)
        *at++ = '[';
    memcpy(at, address->bytes, (size_t)address->size);
    at += address->size;
    if (brackets)
        *at++ = ']';
    *at++ = ':';
    memcpy(at, port->bytes, (size_t)port->size);
    at += port->size;
    PyObject *value = PyUnicode_DecodeLatin1(text, at - text, NULL);
    int result = value ? PyDict_SetItem(env, loop->known[FORWARDED], value) : -1;
    Py_XDECREF(value);
    return result;
}

/* environment.Environment.complete */
static int complete(Loop *loop, PyObject *env, const Param *params)
{
    int usual = loop->simple;
    for (int index = 0; index < NEEDED; index++)
        usual = usual && params[index].value;
    usual = usual && params[PATH].size && params[URI].size &&
            params[ADDRESS].size + params[PORT].size + params[FORWARDED].size < 1000;
    if (!usual) {
        PyObject *done = PyObject_CallFunctionObjArgs(loop->complete, env, NULL);
        Py_XDECREF(done);
        return done ? 0 : -1;
    }
    /* Behind rewrite rules nginx says what they have made of the path. */
    PyObject *url = params[SENT_URL].value && params[SENT_URL].size ? params[SENT_URL].value : params[PATH].value;
    PyObject *file = PyUnicode_Concat(loop->root, url);
    if (!file)
        return -1;
    PyObject **derived = loop->derived;
    const Param *https = &params[HTTPS];
    int secure = https->size == 2 && (https->bytes[0] | 32) == 'o' && (https->bytes[1] | 32) == 'n';
    int typed = params[TYPE].size || params[LENGTH].size;
    int bad = PyDict_SetItem(env, derived[URL], url) |
              PyDict_SetItem(env, derived[UNENCODED], params[URI].value) |
              PyDict_SetItem(env, derived[ORIGINAL], params[URI].value) |
              PyDict_SetItem(env, derived[TRANSLATED], file) | PyDict_SetItem(env, derived[FILENAME], file) |
              PyDict_SetItem(env, derived[HOST], params[ADDRESS].value) |
              PyDict_SetItem(env, derived[SCRIPT], loop->empty) |
              PyDict_SetItem(env, loop->known[HTTPS], secure ? loop->on : loop->off) |
              PyDict_SetItem(env, derived[PROTO], secure ? loop->https : loop->http);
    if (secure)
        bad |= PyDict_SetItem(env, derived[SECURE], loop->one) | PyDict_SetItem(env, derived[SCHEME], loop->https);
    if (params[ADDRESS].size)
        bad |= set_forwarded(loop, env, params);
    if (!params[LENGTH].size)
        bad |= PyDict_SetItem(env, loop->known[LENGTH], loop->zero);
    if (typed && params[HTTP_TYPE].value)
        bad |= PyDict_DelItem(env, loop->known[HTTP_TYPE]);
    if (typed && params[HTTP_LENGTH].value)
        bad |= PyDict_DelItem(env, loop->known[HTTP_LENGTH]);
    Py_DECREF(file);
    return bad ? -1 : 0;
}

/* ---- one request */

/* Find the body in the records at `start`: its size, or -1 unless it and its end are all of the rest. Moves its pieces
 * together, to `start`. */
static Py_ssize_t gather_body(unsigned char *start, const unsigned char *end)
{
    const unsigned char *at = start;
    for (;;) { /* look first: the bytes must stay as they are when they are not what we expect */
        if (end - at < 8 || at[0] != 1 || at[1] != 5 || at[2] != 0 || at[3] != 1)
            return -1;
        Py_ssize_t content = at[4] << 8 | at[5], padding = at[6];
        if (end - at - 8 < content + padding)
            return -1;
        at += 8 + content + padding;
        if (!content)
            break;
    }
    if (at != end)
        return -1;
    unsigned char *to = start;
    for (at = start;;) {
        Py_ssize_t content = at[4] << 8 | at[5], padding = at[6];
        if (!content)
            return to - start;
        const unsigned char *next = at + 8 + content + padding;
        memmove(to, at + 8, (size_t)content);
        to += content;
        at = next;
    }
}

/* Where the parameters of a plainly laid out request end (see serving._PLAIN_STARTS); 0 when it is laid out otherwise. */
static Py_ssize_t plain_params(const unsigned char *data, Py_ssize_t size)
{
    static const unsigned char begin[10] = {1, 1, 0, 1, 0, 8, 0, 0, 0, 1}, reserved[5] = {0, 0, 0, 0, 0};
    static const unsigned char no_more[8] = {1, 4, 0, 1, 0, 0, 0, 0};
    if (size < 32 || memcmp(data, begin, sizeof begin) || data[10] > 1 || memcmp(data + 11, reserved, sizeof reserved))
        return 0;
    if (data[16] != 1 || data[17] != 4 || data[18] || data[19] != 1)
        return 0;
    Py_ssize_t end = 24 + (data[20] << 8 | data[21]);
    Py_ssize_t after = end + data[22];
    if (size - 8 < after || memcmp(data + after, no_more, sizeof no_more))
        return 0;
    return end;
}

static void slot_begin(Slot *slot, const Param *params)
{
    uint64_t at = now();
    const Param *method = &params[METHOD], *uri = &params[URI];
    size_t size = 0;
    if (method->value && uri->value) {
        size = (size_t)method->size < URL_SIZE - 1 ? (size_t)method->size : URL_SIZE - 1;
        memcpy(slot->url, method->bytes, size);
        slot->url[size++] = ' ';
        size_t rest = (size_t)uri->size < URL_SIZE - size ? (size_t)uri->size : URL_SIZE - size;
        memcpy(slot->url + size, uri->bytes, rest);
        size += rest;
    }
    slot->url_length = (uint16_t)size;
    slot->last_activity = at;
    __atomic_store_n(&slot->request_started, at, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->state, STATE_BUSY, __ATOMIC_RELEASE);
}

/* The connection is out of our hands: what was begun is over. */
static void slot_end(Loop *loop)
{
    Slot *slot = loop->slot;
    if (loop->has_request) {
        loop->has_request = 0;
        __atomic_store_n(&slot->requests, slot->requests + 1, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->last_activity, now(), __ATOMIC_RELAXED);
    }
    __atomic_store_n(&slot->connection, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->request_started, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->state, STATE_IDLE, __ATOMIC_RELEASE);
}

/* Call close() of what the application returned. An exception that is on its way stays, as the other's context. */
static int close_result(PyObject *result)
{
    PyObject *type, *error, *traceback;
    if (PyList_CheckExact(result) || PyTuple_CheckExact(result))
        return 0;
    PyErr_Fetch(&type, &error, &traceback);
    PyObject *close = PyObject_GetAttrString(result, "close");
    if (!close && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    PyObject *closed = close && close != Py_None ? PyObject_CallObject(close, NULL) : NULL;
    Py_XDECREF(close);
    Py_XDECREF(closed);
    if (!PyErr_Occurred()) {
        PyErr_Restore(type, error, traceback);
        return 0;
    }
    if (type) {
        PyObject *later_type, *later, *later_traceback;
        PyErr_Fetch(&later_type, &later, &later_traceback);
        PyErr_NormalizeException(&later_type, &later, &later_traceback);
        PyErr_NormalizeException(&type, &error, &traceback);
        if (traceback)
            PyException_SetTraceback(error, traceback);
        Py_XINCREF(error);
        PyException_SetContext(later, error); /* takes the reference */
        PyErr_Restore(later_type, later, later_traceback);
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(traceback);
    }
    return -1;
}

/* Deal with what the application raised; what became of the connection, -1 when it must end the loop. */
static int report_failure(Loop *loop, Exchange *exchange, PyObject *method, PyObject *path)
{
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
        return -1;
    if (PyErr_ExceptionMatches(loop->client_gone)) {
        PyErr_Clear();
        return ENDED;
    }
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback)
        PyException_SetTraceback(error, traceback);
    PyObject *done = PyObject_CallFunction(loop->failed, "OiOOii", error, exchange->fd, method, path,
                                           exchange->head_sent, exchange->ended);
    int outcome = done ? done == Py_True ? KEPT : ENDED : -1;
    Py_XDECREF(done);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    return outcome;
}

static int run(Loop *loop, int fd, PyObject *env, const Param *params)
{
    const Param *verb = &params[METHOD];
    PyObject *method = verb->value ? verb->value : PyDict_GetItem(env, loop->known[METHOD]);
    PyObject *path = PyDict_GetItem(env, loop->derived[URL]);
    Exchange *exchange = new_exchange(loop, fd, verb->value && verb->size == 4 && !memcmp(verb->bytes, "HEAD", 4));
    if (!exchange || !method || !path)
        return -1;
    Py_INCREF(method); /* the application may change its environ */
    Py_INCREF(path);
    PyObject *result = PyObject_CallFunctionObjArgs(loop->application, env, (PyObject *)exchange, NULL);
    int good = result && send_result(exchange, result) >= 0;
    if (result) {
        good = close_result(result) >= 0 && good;
        Py_DECREF(result);
    }
    int outcome = good ? KEPT : report_failure(loop, exchange, method, path);
    Py_DECREF(method);
    Py_DECREF(path);
    release_exchange(loop, exchange);
    return outcome;
}

/* Serve a connection from its first bytes by the Python of the pure loop, which counts in our slot by itself. */
static int serve_slowly(Loop *loop, int fd, const unsigned char *data, Py_ssize_t size)
{
    unsigned long long requests;
    int outcome = -1;
    PyObject *done = PyObject_CallFunction(loop->slow, "iy#KI", fd, (const char *)data, size,
                                           (unsigned long long)loop->slot->requests, (unsigned)loop->connection);
    if (done && PyArg_ParseTuple(done, "Ki", &requests, &outcome))
        loop->slot->requests = requests;
    Py_XDECREF(done);
    return PyErr_Occurred() ? -1 : outcome;
}

/* Receive the bytes that were only looked at; see serve_connection. */
static void take(int fd, unsigned char *data, Py_ssize_t size)
{
    while (size > 0) {
        ssize_t taken = recv(fd, data, size, MSG_DONTWAIT);
        if (taken > 0) {
            data += taken;
            size -= taken;
        } else if (!taken || errno != EINTR) {
            return; /* it is closed, which the next look at it finds out */
        }
    }
}

static int serve_data(Loop *loop, int fd, unsigned char *data, Py_ssize_t size)
{
    Param params[KNOWN] = {{NULL, NULL, 0}};
    Py_ssize_t end = plain_params(data, size);
    if (!end) {
        take(fd, data, size);
        return serve_slowly(loop, fd, data, size);
    }
    unsigned char *records = data + end + data[22] + 8;
    int keep = data[10]; /* FCGI_KEEP_CONN */
    /* Eight bytes are the record that says there is no body; anything longer is looked at before it is moved. */
    PyObject *env = PyDict_Copy(loop->template);
    if (!env)
        return -1;
    int malformed = read_params(loop, env, data + 24, data + end, params);
    Py_ssize_t body_size = malformed ? -1 : gather_body(records, data + size);
    int result = -1;
    if (malformed < 0) {
        /* no memory */
    } else if (body_size < 0) {
        take(fd, data, size);
        result = serve_slowly(loop, fd, data, size);
    } else {
        PyObject *input = body_size ? PyObject_CallFunction(loop->bytesio, "y#", (const char *)records, body_size)
                                    : PyObject_CallObject(loop->bytesio, NULL);
        if (input && !PyDict_SetItem(env, loop->derived[INPUT], input) && !complete(loop, env, params)) {
            slot_begin(loop->slot, params);
            loop->has_request = 1;
            result = run(loop, fd, env, params);
            take(fd, data, size);
            if (result == KEPT && !keep)
                result = ENDED;
        }
        Py_XDECREF(input);
    }
    Py_DECREF(env);
    return result;
}

/* What became of the connection, -1 with an exception.

   The request is only looked at until it has been answered: taking it wakes nginx, which hears that it could send
   more, and would interrupt the worker for that alone just when its caches are warm (data plane, decision 3). */
static int serve_connection(Loop *loop, int fd)
{
    for (;;) {
        ssize_t size = recv(fd, loop->buffer, RECEIVE_SIZE, MSG_DONTWAIT | MSG_PEEK);
        if (size > 0)
            return serve_data(loop, fd, loop->buffer, size);
        if (!size || errno == ECONNRESET)
            return GONE;
        if (errno == EINTR) {
            if (PyErr_CheckSignals() < 0)
                return -1;
        } else if (errno == EAGAIN) {
            int ready = wait_ready(fd, POLLIN, 60000);
            if (ready <= 0)
                return ready < 0 ? -1 : ENDED;
        } else {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
    }
}

/* Wait for a connection or a signal; see Server._wait. */
static int wait_for_work(Loop *loop)
{
    struct epoll_event events[4];
    int found;
    Py_BEGIN_ALLOW_THREADS
    found = epoll_wait(loop->epoll, events, 4, NAP_MILLISECONDS);
    Py_END_ALLOW_THREADS
    if (found < 0 && errno != EINTR) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    for (int index = 0; index < found; index++) {
        if (events[index].data.fd == loop->wake) {
            PyObject *done = PyObject_CallObject(loop->drain_wake, NULL);
            Py_XDECREF(done);
            if (!done)
                return -1;
        }
    }
    return PyErr_CheckSignals();
}

static int serve_all(Loop *loop, long long most)
{
    while (most > 0) {
        int fd = accept4(loop->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN) {
                if (wait_for_work(loop) < 0)
                    return -1;
            } else if (errno == EINTR) {
                if (PyErr_CheckSignals() < 0)
                    return -1;
            } else if (errno != ECONNABORTED) {
                PyErr_SetFromErrno(PyExc_OSError);
                return -1;
            }
            continue;
        }
        int served = serve_connection(loop, fd);
        slot_end(loop);
        close(fd);
        if (served < 0)
            return -1;
        most--;
    }
    return 0;
}

/* Call fetch, keep or discard; the number that it returned, -1 with an exception. */
static int call_shared(PyObject *what, int number)
{
    PyObject *done = PyObject_CallFunction(what, "i", number);
    int result = done ? (int)PyLong_AsLong(done) : -1;
    Py_XDECREF(done);
    return result;
}

/* Server._serve_number: 1 when a request was served, 0 when there was none. */
static int serve_number(Loop *loop, int number)
{
    unsigned char *met = &loop->met[number - loop->first];
    int outcome = GONE;
    loop->connection = (uint32_t)number;
    __atomic_store_n(&loop->slot->connection, loop->connection, __ATOMIC_RELEASE);
    if (*met)
        outcome = serve_connection(loop, number);
    while (outcome == GONE) {
        int fetched = call_shared(loop->fetch, number);
        *met = fetched > 0;
        if (fetched <= 0) {
            slot_end(loop);
            return fetched;
        }
        outcome = serve_connection(loop, number);
    }
    if (outcome < 0)
        return -1;
    if (outcome == KEPT) {
        struct epoll_event event = {0};
        event.events = loop->armed;
        event.data.fd = number;
        if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, number, &event) < 0) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        slot_end(loop);
        return 1;
    }
    *met = 0;
    outcome = call_shared(loop->discard, number);
    slot_end(loop);
    return outcome < 0 ? -1 : 1;
}

/* Server._accept_shared */
static int accept_shared(Loop *loop)
{
    int fd = accept4(loop->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        if (stopping || errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
            return 0;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    loop->connection = 0;
    int outcome = serve_connection(loop, fd);
    if (outcome == KEPT) {
        int number = call_shared(loop->keep, fd);
        if (number > 0)
            loop->met[number - loop->first] = 1;
        else
            outcome = number;
    }
    slot_end(loop);
    close(fd);
    return outcome < 0 ? -1 : 1;
}

/* Server._serve_shared */
static int serve_shared(Loop *loop, long long most)
{
    while (most > 0 && !stopping) {
        struct epoll_event event;
        int found;
        Py_BEGIN_ALLOW_THREADS
        found = epoll_wait(loop->epoll, &event, 1, NAP_MILLISECONDS);
        Py_END_ALLOW_THREADS
        if (found < 0 && errno != EINTR) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        if (found <= 0) {
            if (PyErr_CheckSignals() < 0)
                return -1;
            continue;
        }
        int number = event.data.fd, served;
        if (number >= loop->first && number - loop->first < loop->shared)
            served = serve_number(loop, number);
        else
            served = accept_shared(loop);
        if (served < 0)
            return -1;
        most -= served;
    }
    return 0;
}

/* ---- the module */

static PyObject *interned(const char *text)
{
    return PyUnicode_InternFromString(text);
}

static int make_names(Loop *loop)
{
    int good = 1;
    for (int index = 0; index < KNOWN; index++)
        good = (loop->known[index] = interned(known_names[index])) && good;
    for (int index = 0; index < DERIVED; index++)
        good = (loop->derived[index] = interned(derived_names[index])) && good;
    good = (loop->empty = interned("")) && good;
    good = (loop->zero = interned("0")) && good;
    good = (loop->one = interned("1")) && good;
    good = (loop->on = interned("on")) && good;
    good = (loop->off = interned("off")) && good;
    good = (loop->http = interned("http")) && good;
    good = (loop->https = interned("https")) && good;
    good = (loop->prefixes = PyDict_New()) && good;
    good = (loop->exchange_type = (PyTypeObject *)PyType_FromSpec(&exchange_spec)) && good;
    loop->buffer = PyMem_Malloc(RECEIVE_SIZE);
    loop->names = calloc(NAMES, sizeof(Name)); /* pages that are not used stay untouched */
    if (!loop->buffer || !loop->names) {
        PyErr_NoMemory();
        return -1;
    }
    /* Before any visitor can fill the table with names of his own. */
    for (int index = 0; index < KNOWN; index++)
        good = find_name(loop, known_names[index], (Py_ssize_t)strlen(known_names[index])) && good;
    return good ? 0 : -1;
}

/* Map the slot for ourselves: the limited API of 3.6 cannot reach the memory of a Python object. */
static int map_slot(Loop *loop, int descriptor, long index)
{
    struct stat found;
    loop->slot = &loop->own_slot;
    if (descriptor < 0)
        return 0;
    if (fstat(descriptor, &found) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    if (index < 0 || (index + 1) * SLOT_SIZE > (long long)found.st_size) {
        PyErr_SetString(PyExc_ValueError, "the scoreboard has no such slot");
        return -1;
    }
    char *memory = mmap(NULL, (size_t)found.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    loop->slot = (Slot *)(memory + index * SLOT_SIZE);
    return 0;
}

/* The Loop lives as long as the process: an exchange that the application kept may still point to it. */
static PyObject *serve(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"most", "listener", "epoll", "first", "shared", "armed", "fetch", "keep", "discard", "wake", "descriptor", "index", "simple", "application",
                            "template", "root", "complete", "render", "statuses", "kinds", "slow", "failed",
                            "drain_wake", "client_gone", "bytesio", NULL};
    long long most;
    int descriptor;
    long index;
    (void)module;
    Loop *loop = PyMem_Malloc(sizeof(Loop));
    if (!loop)
        return PyErr_NoMemory();
    memset(loop, 0, sizeof *loop);
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "LiiiiIOOOiilpOOUOOOOOOOOO", names, &most, &loop->listener,
                                     &loop->epoll, &loop->first, &loop->shared, &loop->armed, &loop->fetch,
                                     &loop->keep, &loop->discard, &loop->wake, &descriptor, &index, &loop->simple, &loop->application,
                                     &loop->template, &loop->root, &loop->complete, &loop->render, &loop->statuses,
                                     &loop->kinds, &loop->slow, &loop->failed, &loop->drain_wake, &loop->client_gone,
                                     &loop->bytesio) ||
        map_slot(loop, descriptor, index) < 0 || make_names(loop) < 0)
        return NULL;
    Py_INCREF(args);
    Py_XINCREF(keywords); /* what the Loop borrows from them */
    if (loop->shared && !(loop->met = calloc((size_t)loop->shared, 1)))
        return PyErr_NoMemory();
    if ((loop->shared ? serve_shared(loop, most) : serve_all(loop, most)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *stop(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    stopping = 1;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"stop", stop, METH_NOARGS, "Let serve() of shared connections return after the request in hand."},
    {"serve", (PyCFunction)(void (*)(void))serve, METH_VARARGS | METH_KEYWORDS,
     "Serve connections until accepting fails, which raises OSError, or `most` have been served. Once a process."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "homeport.worker._accelerator", "The worker's loop in C.", -1, functions, NULL, NULL, NULL,
    NULL,
};

PyMODINIT_FUNC PyInit__accelerator(void)
{
    return PyModule_Create(&definition);
}
