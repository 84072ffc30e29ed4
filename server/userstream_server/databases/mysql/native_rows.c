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

#define INTERFACE 3 /* what native_library.py expects; one more with every change to what follows */

enum { NO_MEMORY = -1, NO_USER = -2 };
enum { USER_ID, NAME, EMAIL, AGE, COLUMNS };
enum { ALL_FIELDS = (1 << COLUMNS) - 1 }; /* a bit for each */

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
    char **unfit_row;       /* after NO_USER: the row that is none, valid until the next is fetched */
    unsigned long *unfit_lengths;
    char *row[COLUMNS]; /* the row in hand with all its columns, where only some were read */
    unsigned long lengths[COLUMNS];
};

enum { READY_AGES = 1024, LONGEST_IN_64_BITS = 19, LONGEST_NUMBER = 80 }; /* a DECIMAL has 65 digits at most */

struct counted {
    uint64_t users[READY_AGES]; /* how many there are of each age from 0 on */
    size_t other_bytes;         /* the length of the age below; 0 without one */
    char other[LONGEST_NUMBER]; /* the digits of one that has no place above */
    char **unfit_row;           /* as in struct encoded */
    unsigned long *unfit_lengths;
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

/* Read decimal digits of a signed 64-bit number; as protobuf writes one, a negative number is taken modulo 2**64. */
static int read_age(const char *digits, size_t count, uint64_t *age) {
    size_t at = count && *digits == '-';
    int negative = at != 0;
    uint64_t most = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (at == count) return 0;
    *age = 0;
    for (; at < count; at++) {
        if (digits[at] < '0' || digits[at] > '9') return 0;
        uint64_t digit = (uint64_t)(digits[at] - '0');
        if (*age > (most - digit) / 10) return 0;
        *age = 10 * *age + digit;
    }
    if (negative) *age = 0 - *age;
    return 1;
}

/* The same bit of each of eight bytes, which are looked at together. */
#define EACH(bits) (UINT64_C(0x0101010101010101) * (bits))

static uint64_t word_at(const char *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word); /* of a known size, hence one instruction */
    return word;
}

/* Up to seven bytes as a word; spaces, which pass every check here, fill the rest. */
static uint64_t short_word(const char *bytes, size_t count) {
    uint64_t word = EACH(' ');
    while (count--) word = word << 8 | (unsigned char)bytes[count];
    return word;
}

/* Set the high bit of bytes other than 0x20 to 0x7e: of those with it, of 0x7f, and of those with bits 5 and 6 off. */
static uint64_t unprintable(uint64_t word) { return (word | (word + EACH(1)) | ~(word | word >> 1) << 2) & EACH(0x80); }

/* The last word overlaps the one before, so that no text of eight bytes or more needs a word cut short. */
static int is_printable_ascii(const char *bytes, size_t count) {
    if (count < sizeof(uint64_t)) return !unprintable(short_word(bytes, count));
    uint64_t found = unprintable(word_at(bytes + count - sizeof found));
    for (size_t at = 0; at + sizeof found < count; at += sizeof found) found |= unprintable(word_at(bytes + at));
    return !found;
}

static int is_ascii(const char *bytes, size_t count) {
    if (count < sizeof(uint64_t)) return !(short_word(bytes, count) & EACH(0x80));
    uint64_t all = word_at(bytes + count - sizeof all);
    for (size_t at = 0; at + sizeof all < count; at += sizeof all) all |= word_at(bytes + at);
    return !(all & EACH(0x80));
}

/* How many bytes the character at `at` takes, of `left`; 0 if it is not valid UTF-8 (RFC 3629, section 4). */
static size_t character_bytes(const unsigned char *at, size_t left) {
    unsigned char lead = at[0], least = 0x80, most = 0xbf;
    size_t bytes = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (bytes == 1) return 1;
    if (lead < 0xc2 || lead > 0xf4 || left < bytes) return 0;
    if (lead == 0xe0) least = 0xa0; /* shorter forms exist */
    if (lead == 0xed) most = 0x9f;  /* surrogates */
    if (lead == 0xf0) least = 0x90;
    if (lead == 0xf4) most = 0x8f; /* beyond U+10FFFF */
    if (at[1] < least || at[1] > most) return 0;
    for (size_t n = 2; n < bytes; n++)
        if (at[n] < 0x80 || at[n] > 0xbf) return 0;
    return bytes;
}

static int is_utf8(const char *bytes, size_t count) {
    if (is_ascii(bytes, count)) return 1;
    size_t step = 1;
    for (size_t at = 0; at < count && step; at += step)
        step = character_bytes((const unsigned char *)bytes + at, count - at);
    return step != 0;
}

/* Say whether a row can be sent, and read its age; rows/row_check.py has the same rules, and words for them. */
static int is_user(char **row, const unsigned long *lengths, uint64_t *age) {
    for (int column = 0; column < COLUMNS; column++)
        if (!row[column]) return 0;
    return lengths[USER_ID] && is_printable_ascii(row[USER_ID], lengths[USER_ID]) &&
           is_utf8(row[NAME], lengths[NAME]) && is_utf8(row[EMAIL], lengths[EMAIL]) &&
           read_age(row[AGE], lengths[AGE], age);
}

/* Append one row; proto3 leaves empty texts and zero out. */
static int add_user(struct encoded *out, char **row, const unsigned long *lengths) {
    uint64_t age;
    size_t body = 0;
    if (!is_user(row, lengths, &age)) return NO_USER;
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

/* Give a row of only some fields all columns; those that were not read get values that proto3 leaves out. */
static void widen(struct encoded *out, unsigned fields, char **row, const unsigned long *lengths) {
    static char no_text[] = "", no_age[] = "0";
    int read = 0;
    for (int column = 0; column < COLUMNS; column++) {
        int is_read = fields >> column & 1;
        out->row[column] = is_read ? row[read] : column == AGE ? no_age : no_text;
        out->lengths[column] = is_read ? lengths[read] : column == AGE;
        read += is_read;
    }
}

/*
 * Fetch up to `rows` rows into `out`, whose buffers are used again from their start. The columns are those of
 * (user_id, name, email, age) whose bits are set in `fields`. Returns how many there were, fewer at the end or after an error, which mysql_errno tells apart; NO_MEMORY; or
 * NO_USER for a row that cannot be sent.
 */
long userstream_fetch(fetch_row_function fetch_row, fetch_lengths_function fetch_lengths, void *result, long rows,
                      unsigned fields, struct encoded *out) {
    out->users.used = out->user_ids.used = out->last_id_bytes = 0;
    for (long count = 0; count < rows; count++) {
        char **row = fetch_row(result);
        if (!row) return count;
        unsigned long *lengths = fetch_lengths(result);
        if (fields != ALL_FIELDS) {
            widen(out, fields, row, lengths);
            row = out->row;
            lengths = out->lengths;
        }
        int added = add_user(out, row, lengths);
        if (added < 0) {
            out->unfit_row = row;
            out->unfit_lengths = lengths;
            return added;
        }
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
        unsigned long *lengths = fetch_lengths(result);
        size_t bytes = lengths[0];
        uint64_t age;
        if (!row[0] || bytes > LONGEST_NUMBER || !read_age(row[0], bytes, &age)) {
            out->unfit_row = row;
            out->unfit_lengths = lengths;
            return NO_USER;
        }
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
