// What the programs in C and C++ share: a connection to the database that the environment names.
#pragma once

#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>

#define SELECT_USERS "SELECT user_id, name, email, age FROM user_data"

enum { USER_ID, NAME, EMAIL, AGE };

// Connects over TCP without encryption, as all contestants do. Returns NULL, after a line on stderr, when it cannot.
static inline MYSQL* connect_to_database(void) {
  MYSQL* connection = mysql_init(NULL);
  my_bool off = 0;
  unsigned protocol = MYSQL_PROTOCOL_TCP;
  mysql_optionsv(connection, MYSQL_OPT_PROTOCOL, &protocol);
  mysql_optionsv(connection, MYSQL_OPT_SSL_ENFORCE, &off);
  mysql_optionsv(connection, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &off);
  mysql_optionsv(connection, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  if (mysql_real_connect(connection, getenv("BENCH_HOST"), getenv("BENCH_USER"), getenv("BENCH_PASSWORD"),
                         getenv("BENCH_DATABASE"), (unsigned)atoi(getenv("BENCH_PORT")), NULL, 0))
    return connection;
  fprintf(stderr, "no connection: %s\n", mysql_error(connection));
  mysql_close(connection);
  return NULL;
}
