/*
 * Fetches rows and encodes them as `repeated User`, as encoding.py does in Python, or counts their ages, only faster: no
 * objects are made, and the interpreter's lock is free meanwhile. native_library.py loads it;
 * tests/unit/test_native_rows.py holds it against Python and protobuf.
 *
 * It needs no header of Python's or MySQL's, hence no more than a compiler: the two functions that read a row are
 * public ones of MySQL's C API (mysql_fetch_row, mysql_fetch_lengths), given by address.
 *
 * Source of the format: https://protobuf.dev/programming-guides/encoding/
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INTERFACE 1 /* what native_library.py expects; one more with every change to what follows */

enum { NO_MEMORY = -1, NO_USER = -2 };
enum { USER_ID, NAME, EMAIL, AGE, COLUMNS };

/* A tag is the field's number and how its value is written. */
enum { VARINT = 0, LENGTH_DELIMITED = 2 };
#define TAG(field, kind) ((unsigned char)((field) << 3 | (kind)))
enum { USERS_FIELD = 1, AGE_FIELD = 4 }; /* user_id, name and email are 1 to 3, as their columns are 0 to 2 */
enum { SMALLEST_ROOM = 4096 };
enum { LONGEST_VARINT = 10, LONGEST_AROUND_USER = (1 + LONGEST_VARINT) * (COLUMNS + 1) };

typedef char **(*fetch_row_function)(void *result);
typedef unsigned long *(*fetch_lengths_function)(void *result);

struct buffer {
    unsigned char *bytes;
    size_t used, room;
};

struct encoded {
    struct buffer users;    /* a field `users` for each row */
    struct buffer user_ids; /* the rows' user_ids, one behind the other */
    size_t last_id_bytes;   /* how long the last of them is */
};

enum { READY_AGES = 1024, LONGEST_IN_64_BITS = 19, LONGEST_NUMBER = 80 }; /* a DECIMAL has 65 digits at most */

struct counted {
    uint64_t users[READY_AGES]; /* how many there are of each age from 0 on */
    size_t other_bytes;         /* the length of the age below; 0 without one */
    char other[LONGEST_NUMBER]; /* the digits of one that has no place above */
};

int userstream_interface(void) { return INTERFACE; }

static int make_room(struct buffer *buffer, size_t bytes) {
    if (buffer->bytes && buffer->room - buffer->used >= bytes) return 1;
    size_t room = 2 * (buffer->used + bytes) + SMALLEST_ROOM;
    unsigned char *larger = realloc(buffer->bytes, room);
    if (!larger) return 0;
    buffer->bytes = larger;
    buffer->room = room;
    return 1;
}

static size_t varint_bytes(uint64_t number) {
    size_t bytes = 1;
    while (number >>= 7) bytes++;
    return bytes;
}

static unsigned char *put_varint(unsigned char *at, uint64_t number) {
    for (; number > 0x7f; number >>= 7) *at++ = (unsigned char)(number | 0x80);
    *at++ = (unsigned char)number;
    return at;
}

static unsigned char *put_bytes(unsigned char *at, const char *bytes, size_t count) {
    memcpy(at, bytes, count);
    return at + count;
}

/* Read decimal digits modulo 2**64, which is how protobuf writes a negative number too. */
static int read_age(const char *digits, size_t count, uint64_t *age) {
    size_t at = count && *digits == '-';
    int negative = at != 0;
    if (at == count) return 0;
    *age = 0;
    for (; at < count; at++) {
        if (digits[at] < '0' || digits[at] > '9') return 0;
        *age = 10 * *age + (uint64_t)(digits[at] - '0');
    }
    if (negative) *age = 0 - *age;
    return 1;
}

/* Append one row; proto3 leaves empty texts and zero out. */
static int add_user(struct encoded *out, char **row, const unsigned long *lengths) {
    uint64_t age;
    size_t body = 0;
    for (int column = 0; column < COLUMNS; column++)
        if (!row[column]) return NO_USER;
    if (!read_age(row[AGE], lengths[AGE], &age)) return NO_USER;
    for (int column = USER_ID; column <= EMAIL; column++)
        if (lengths[column]) body += 1 + varint_bytes(lengths[column]) + lengths[column];
    if (age) body += 1 + varint_bytes(age);
    if (!make_room(&out->users, body + LONGEST_AROUND_USER)) return NO_MEMORY;
    if (!make_room(&out->user_ids, lengths[USER_ID])) return NO_MEMORY;

    unsigned char *at = out->users.bytes + out->users.used;
    *at++ = TAG(USERS_FIELD, LENGTH_DELIMITED);
    at = put_varint(at, body);
    for (int column = USER_ID; column <= EMAIL; column++) {
        if (!lengths[column]) continue;
        *at++ = TAG(column + 1, LENGTH_DELIMITED);
        at = put_varint(at, lengths[column]);
        at = put_bytes(at, row[column], lengths[column]);
    }
    if (age) {
        *at++ = TAG(AGE_FIELD, VARINT);
        at = put_varint(at, age);
    }
    out->users.used = (size_t)(at - out->users.bytes);
    put_bytes(out->user_ids.bytes + out->user_ids.used, row[USER_ID], lengths[USER_ID]);
    out->user_ids.used += lengths[USER_ID];
    out->last_id_bytes = lengths[USER_ID];
    return 1;
}

/*
 * Fetch up to `rows` rows of (user_id, name, email, age) into `out`, whose buffers are used again from their start.
 * Returns how many there were, fewer at the end or after an error, which mysql_errno tells apart; NO_MEMORY; or
 * NO_USER for a NULL or an age that is not a whole number.
 */
long userstream_fetch(fetch_row_function fetch_row, fetch_lengths_function fetch_lengths, void *result, long rows,
                      struct encoded *out) {
    out->users.used = out->user_ids.used = out->last_id_bytes = 0;
    for (long count = 0; count < rows; count++) {
        char **row = fetch_row(result);
        if (!row) return count;
        int added = add_user(out, row, fetch_lengths(result));
        if (added < 0) return added;
    }
    return rows;
}

/*
 * Fetch up to `rows` rows of (age) and add them to the counts in `out`; stop behind an age that has no place in the
 * table. Returns how many there were, as above.
 */
long userstream_count(fetch_row_function fetch_row, fetch_lengths_function fetch_lengths, void *result, long rows,
                      struct counted *out) {
    out->other_bytes = 0;
    for (long count = 0; count < rows; count++) {
        char **row = fetch_row(result);
        if (!row) return count;
        size_t bytes = fetch_lengths(result)[0];
        uint64_t age;
        if (!row[0] || bytes > LONGEST_NUMBER || !read_age(row[0], bytes, &age)) return NO_USER;
        if (bytes <= LONGEST_IN_64_BITS && age < READY_AGES) {
            out->users[age]++;
            continue;
        }
        memcpy(out->other, row[0], bytes);
        out->other_bytes = bytes;
        return count + 1;
    }
    return rows;
}

/* Release the buffers. */
void userstream_free(struct encoded *out) {
    free(out->users.bytes);
    free(out->user_ids.bytes);
    memset(out, 0, sizeof *out);
}
