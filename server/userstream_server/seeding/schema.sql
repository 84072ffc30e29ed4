-- The table userstream reads, for MySQL 8+ and MariaDB. The primary key is the only index on user_id: a key is one.
CREATE TABLE IF NOT EXISTS user_data (
    user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    name    VARCHAR(255) NOT NULL,
    email   VARCHAR(255) NOT NULL,
    age     DECIMAL(10, 0) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4
