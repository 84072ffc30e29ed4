/*
 * Decodes the users of a StreamUsers or BatchUsers message into Python tuples or into columns as Arrow has them.
 *
 * It takes what the server writes: users with fields 1 to 4, and other fields that are numbers or length-delimited. It
 * declines everything else (unknown fields in a user, groups, damaged bytes, text that is not UTF-8) by returning None.
 * The caller then lets protobuf decode the message or refuse it, so that protobuf alone decides what is valid.
 *
 * It needs no header of Python's, hence no more than a compiler: every function of Python's that it calls belongs to the
 * stable ABI (https://docs.python.org/3/c-api/stable.html) and is declared here. The interpreter that loads the library
 * provides them. _native_users.py loads it; tests/unit/test_native_users.py compares it with protobuf.
 *
 * Source of the format: https://protobuf.dev/programming-guides/encoding/
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INTERFACE 1 /* what _native_users.py expects; one more with every change to what follows */

typedef struct _object PyObject;
typedef ptrdiff_t Py_ssize_t;
extern int PyBytes_AsStringAndSize(PyObject *bytes, char **data, Py_ssize_t *size);
extern PyObject *PyBytes_FromStringAndSize(const char *data, Py_ssize_t size);
extern PyObject *PyList_New(Py_ssize_t size);
extern int PyList_SetItem(PyObject *list, Py_ssize_t index, PyObject *item);
extern PyObject *PyTuple_New(Py_ssize_t size);
extern int PyTuple_SetItem(PyObject *tuple, Py_ssize_t index, PyObject *item);
extern PyObject *PyType_GenericAlloc(PyObject *type, Py_ssize_t items);
extern PyObject *PyUnicode_DecodeUTF8(const char *data, Py_ssize_t size, const char *errors);
extern PyObject *PyLong_FromLongLong(long long number);
extern int PyErr_ExceptionMatches(PyObject *kind);
extern PyObject *PyExc_UnicodeDecodeError;
extern void PyErr_Clear(void);
extern PyObject *PyErr_NoMemory(void);
extern void PyObject_GC_UnTrack(void *object);
extern void Py_IncRef(PyObject *object);
extern void Py_DecRef(PyObject *object);
extern PyObject _Py_NoneStruct;

enum { USER_ID, NAME, EMAIL, TEXTS };
enum { VARINT = 0, LENGTH_DELIMITED = 2 };
#define TAG(field, kind) ((unsigned char)((field) << 3 | (kind)))
enum { USERS_TAG = TAG(1, LENGTH_DELIMITED), AGE_TAG = TAG(4, VARINT) };
/* How the user_ids of a message follow each other, byte by byte. */
enum { REPEATED = 0, UNORDERED = 1, ASCENDING = 2 };
enum { LONGEST_LENGTH = 5 };

typedef struct {
    const unsigned char *at, *end;
} reader;

typedef struct {
    const unsigned char *bytes;
    size_t size;
} text;

typedef struct {
    text texts[TEXTS];
    int64_t age;
} user;

/* What a first pass over a message's outermost fields finds. */
typedef struct {
    Py_ssize_t users;
    size_t other_bytes; /* of all fields but the users */
    size_t user_bytes;  /* of the users */
} shape;

int userstream_interface(void) { return INTERFACE; }

static int read_varint(reader *in, uint64_t *number) {
    uint64_t read = 0;
    for (int shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        unsigned char byte = *in->at++;
        if (shift == 63 && byte > 1) return 0;
        read |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *number = read;
            return 1;
        }
    }
    return 0;
}

static int read_text(reader *in, text *out) {
    const unsigned char *start = in->at;
    uint64_t size;
    if (!read_varint(in, &size) || size > (uint64_t)(in->end - in->at)) return 0;
    /* protobuf refuses a length that is written in more bytes than one of 32 bits needs. */
    if (in->at - start > LONGEST_LENGTH) return 0;
    out->bytes = in->at;
    out->size = (size_t)size;
    in->at += size;
    return 1;
}

/* Read one outermost field; `field` is all of it, `content` what a length-delimited one holds. */
static int read_field(reader *in, unsigned char *tag, text *field, text *content) {
    uint64_t number;
    field->bytes = in->at;
    *tag = *in->at++;
    if (*tag >= 0x80 || !(*tag >> 3)) return 0;
    if ((*tag & 7) == VARINT ? !read_varint(in, &number) : (*tag & 7) != LENGTH_DELIMITED || !read_text(in, content))
        return 0;
    field->size = (size_t)(in->at - field->bytes);
    return 1;
}

static int read_user(text content, user *out) {
    reader in = {content.bytes, content.bytes + content.size};
    memset(out, 0, sizeof *out);
    while (in.at < in.end) {
        unsigned char tag = *in.at++;
        uint64_t number;
        switch (tag) {
            case TAG(1, LENGTH_DELIMITED):
            case TAG(2, LENGTH_DELIMITED):
            case TAG(3, LENGTH_DELIMITED):
                if (!read_text(&in, &out->texts[(tag >> 3) - 1])) return 0;
                break;
            case AGE_TAG:
                if (!read_varint(&in, &number)) return 0;
                out->age = (int64_t)number;
                break;
            default: return 0;
        }
    }
    return 1;
}

static int measure(reader in, shape *out) {
    memset(out, 0, sizeof *out);
    while (in.at < in.end) {
        unsigned char tag;
        text field, content;
        if (!read_field(&in, &tag, &field, &content)) return 0;
        if (tag == USERS_TAG) {
            out->users++;
            out->user_bytes += content.size;
        } else {
            out->other_bytes += field.size;
        }
    }
    return 1;
}

static int order_of(text before, text after) {
    size_t common = before.size < after.size ? before.size : after.size;
    int difference = memcmp(before.bytes, after.bytes, common);
    if (!difference) difference = (before.size > after.size) - (before.size < after.size);
    return difference < 0 ? ASCENDING : difference ? UNORDERED : REPEATED;
}

/* Whether a text is UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
static int is_utf8(text in) {
    const unsigned char *at = in.bytes, *end = at + in.size;
    while (at < end) {
        unsigned char first = *at++, low = 0x80, high = 0xbf;
        if (first < 0x80) continue;
        if (first < 0xc2 || first > 0xf4) return 0;
        if (first == 0xe0) low = 0xa0;
        if (first == 0xed) high = 0x9f;
        if (first == 0xf0) low = 0x90;
        if (first == 0xf4) high = 0x8f;
        int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (end - at < more || *at < low || *at > high) return 0;
        for (at++; --more; at++)
            if ((*at & 0xc0) != 0x80) return 0;
    }
    return 1;
}

/* Where the users of a message go. */
typedef struct {
    PyObject *type, *users;            /* tuples of this type in a list; or, where `users` is NULL, columns: */
    int32_t *ends[TEXTS];              /* where each text ends, behind a zero for the start of the first */
    int64_t *ages;
    unsigned char *texts[TEXTS];       /* all texts of a field, one after the other; for tuples only the user_ids */
    size_t used[TEXTS];
    unsigned char *rest;               /* the message without its users */
    size_t rest_used;
    size_t count;
    int order;
    text last_id;
    void *memory;                      /* holds all of the above but the list */
} output;

enum { FAILED, DECLINED, DONE };

static int allocate(output *out, shape found, int columns) {
    size_t count = columns ? (size_t)found.users : 0, texts = columns ? TEXTS : 1;
    size_t bytes = count * sizeof(int64_t) + TEXTS * (count + 1) * sizeof(int32_t) + texts * found.user_bytes;
    out->memory = malloc(bytes + found.other_bytes);
    if (!out->memory) return 0;
    out->ages = out->memory;
    int32_t *ends = (int32_t *)(out->ages + count);
    unsigned char *room = (unsigned char *)(ends + TEXTS * (count + 1));
    for (size_t part = 0; part < TEXTS; part++) {
        out->ends[part] = ends + part * (count + 1);
        out->ends[part][0] = 0;
        /* A text is shorter than its user. */
        if (part < texts) out->texts[part] = room + part * found.user_bytes;
    }
    out->rest = room + texts * found.user_bytes;
    return 1;
}

static void append(output *out, int part, text from) {
    if (from.size) memcpy(out->texts[part] + out->used[part], from.bytes, from.size);
    out->used[part] += from.size;
}

/* Make a tuple. The garbage collector need not track it, because texts and a number form no cycle. */
static int add_tuple(output *out, const user *from) {
    PyObject *made = PyType_GenericAlloc(out->type, TEXTS + 1);
    if (!made) return FAILED;
    PyObject_GC_UnTrack(made);
    for (int part = 0; part <= TEXTS; part++) {
        text in = from->texts[part % TEXTS];
        PyObject *value = part == TEXTS ? PyLong_FromLongLong(from->age)
                                        : PyUnicode_DecodeUTF8((const char *)in.bytes, (Py_ssize_t)in.size, NULL);
        if (value && !PyTuple_SetItem(made, part, value)) continue;
        Py_DecRef(made);
        /* Bytes that are not UTF-8 are protobuf's to refuse; anything else, such as a lack of memory, is an error. */
        if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) return FAILED;
        PyErr_Clear();
        return DECLINED;
    }
    append(out, USER_ID, from->texts[USER_ID]);
    return PyList_SetItem(out->users, (Py_ssize_t)out->count, made) ? FAILED : DONE;
}

static int add_columns(output *out, const user *from) {
    for (int part = 0; part < TEXTS; part++) {
        if (!is_utf8(from->texts[part])) return DECLINED;
        append(out, part, from->texts[part]);
        out->ends[part][out->count + 1] = (int32_t)out->used[part];
    }
    out->ages[out->count] = from->age;
    return DONE;
}

static int decode(reader in, output *out) {
    out->order = ASCENDING;
    while (in.at < in.end) {
        unsigned char tag;
        text field, content;
        user read;
        if (!read_field(&in, &tag, &field, &content)) return DECLINED;
        if (tag != USERS_TAG) {
            memcpy(out->rest + out->rest_used, field.bytes, field.size);
            out->rest_used += field.size;
            continue;
        }
        if (!read_user(content, &read)) return DECLINED;
        int added = out->users ? add_tuple(out, &read) : add_columns(out, &read);
        if (added != DONE) return added;
        int order = out->count++ ? order_of(out->last_id, read.texts[USER_ID]) : ASCENDING;
        if (order < out->order) out->order = order;
        out->last_id = read.texts[USER_ID];
    }
    return DONE;
}

/* Return a tuple that takes over `items`, or NULL with an exception if one of them is missing. */
static PyObject *tuple_of(PyObject **items, int count) {
    PyObject *tuple = PyTuple_New(count);
    int whole = tuple != NULL;
    for (int i = 0; i < count; i++) {
        whole = whole && items[i];
        if (whole) PyTuple_SetItem(tuple, i, items[i]);
        else if (items[i]) Py_DecRef(items[i]);
    }
    if (whole) return tuple;
    if (tuple) Py_DecRef(tuple);
    return NULL;
}

static PyObject *bytes_of(const void *data, size_t size) { return PyBytes_FromStringAndSize(data, (Py_ssize_t)size); }

static PyObject *results(output *out) {
    PyObject *order = PyLong_FromLongLong(out->order), *rest = bytes_of(out->rest, out->rest_used);
    PyObject *ids = bytes_of(out->texts[USER_ID], out->used[USER_ID]);
    if (out->users) {
        PyObject *items[] = {rest, order, ids, out->users};
        out->users = NULL;
        return tuple_of(items, 4);
    }
    size_t ends = (out->count + 1) * sizeof(int32_t);
    PyObject *items[] = {
        rest,
        order,
        ids,
        bytes_of(out->ends[USER_ID], ends),
        bytes_of(out->texts[NAME], out->used[NAME]),
        bytes_of(out->ends[NAME], ends),
        bytes_of(out->texts[EMAIL], out->used[EMAIL]),
        bytes_of(out->ends[EMAIL], ends),
        bytes_of(out->ages, out->count * sizeof(int64_t)),
    };
    return tuple_of(items, 9);
}

static PyObject *decoded(PyObject *message, PyObject *type) {
    char *data;
    Py_ssize_t size;
    shape found;
    output out = {.type = type};
    int state = DECLINED;
    if (PyBytes_AsStringAndSize(message, &data, &size)) return NULL;
    reader in = {(unsigned char *)data, (unsigned char *)data + size};
    if (size <= INT32_MAX && measure(in, &found)) {
        state = FAILED;
        if (!allocate(&out, found, !type)) PyErr_NoMemory();
        else if (!type || (out.users = PyList_New(found.users))) state = decode(in, &out);
    }
    PyObject *result = NULL;
    if (state == DONE) result = results(&out);
    if (state == DECLINED) Py_IncRef(result = &_Py_NoneStruct);
    if (out.users) Py_DecRef(out.users);
    free(out.memory);
    return result;
}

/*
 * Both return None to decline, or a tuple that begins with
 *   rest      the message without its users;
 *   order     how the user_ids follow each other, byte by byte: 0 one is repeated, 1 one is smaller, 2 ascending;
 *   user_ids  all of them, one after the other.
 */

/* Add users: a list of `type`, a tuple type with User's four fields. */
PyObject *userstream_tuples(PyObject *message, PyObject *type) { return decoded(message, type); }

/* Add the ends of the user_ids, names, their ends, e-mail addresses, their ends (int32, from 0 on) and ages (int64). */
PyObject *userstream_columns(PyObject *message) { return decoded(message, NULL); }
