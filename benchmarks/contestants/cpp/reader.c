// Only reads the rows with libmariadb and throws them away: the limit of what any server could read.
//
//   reader              one scan
//   reader 32000        chunks of 32,000 rows, by keyset
//   reader 32000 check  the same, and reckons the CRC-32 of all ids
//
// Prints the rows, that CRC-32 (0 without check) and the seconds from the first query to the last row.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "database.h"

#define KEY_BYTES_MAX 1024
#define QUERY_BYTES_MAX (2 * KEY_BYTES_MAX + 256)

typedef struct {
  bool check;
  long rows;
  unsigned long crc32;
  char last_key[KEY_BYTES_MAX];
  unsigned long last_key_bytes;
} seen_t;

static double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Writes the query of the next chunk, or of the whole scan.
static void next_query(MYSQL* connection, const seen_t* seen, long chunk_rows, char* query) {
  char key[2 * KEY_BYTES_MAX + 1];
  if (!chunk_rows) {
    strcpy(query, SELECT_USERS " ORDER BY user_id");
    return;
  }
  mysql_real_escape_string(connection, key, seen->last_key, seen->last_key_bytes);
  const char* after = seen->rows ? " WHERE user_id > '" : "";
  snprintf(query, QUERY_BYTES_MAX, SELECT_USERS "%s%s%s ORDER BY user_id LIMIT %ld", after, key, seen->rows ? "'" : "",
           chunk_rows);
}

static bool keep(seen_t* seen, const char* key, unsigned long bytes) {
  if (bytes > KEY_BYTES_MAX) return false;
  memcpy(seen->last_key, key, bytes);
  seen->last_key_bytes = bytes;
  seen->rows++;
  if (seen->check) seen->crc32 = crc32(seen->crc32, (const Bytef*)key, (uInt)bytes);
  return true;
}

// Reads one query's rows; returns how many, -1 after an error.
static long read_rows(MYSQL* connection, const char* query, seen_t* seen) {
  const long before = seen->rows;
  if (mysql_query(connection, query)) return -1;
  MYSQL_RES* result = mysql_use_result(connection);
  if (!result) return -1;
  // The next row overwrites the one before, so its key is copied.
  for (MYSQL_ROW row; (row = mysql_fetch_row(result));)
    if (!keep(seen, row[USER_ID], mysql_fetch_lengths(result)[USER_ID])) return -1;
  mysql_free_result(result);
  return mysql_errno(connection) ? -1 : seen->rows - before;
}

static bool read_table(MYSQL* connection, long chunk_rows, seen_t* seen) {
  char query[QUERY_BYTES_MAX];
  for (;;) {
    next_query(connection, seen, chunk_rows, query);
    const long rows = read_rows(connection, query, seen);
    if (rows < 0) return false;
    if (!chunk_rows || rows < chunk_rows) return true;
  }
}

int main(int count, char** arguments) {
  seen_t seen = {.check = count > 2};
  MYSQL* connection = connect_to_database();
  if (!connection) return 1;
  const double begin = now_seconds();
  if (!read_table(connection, count > 1 ? atol(arguments[1]) : 0, &seen)) {
    fprintf(stderr, "rows are missing: %s\n", mysql_error(connection));
    return 1;
  }
  printf("%ld %lu %.6f\n", seen.rows, seen.crc32, now_seconds() - begin);
  mysql_close(connection);
  return 0;
}
