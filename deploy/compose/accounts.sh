#!/bin/bash
# MySQL's image sources this at its first start: an account that seeds, and one that may only read.
# Both exist before the table does, so the reader's right is for the schema; docs/operations.md has the narrower grant.
docker_process_sql <<SQL
CREATE USER 'seeder'@'%' IDENTIFIED BY '$(</run/secrets/mysql-seeder-password)';
GRANT CREATE, SELECT, INSERT, UPDATE ON ALX_prodev.* TO 'seeder'@'%';
CREATE USER 'userstream'@'%' IDENTIFIED BY '$(</run/secrets/mysql-reader-password)';
GRANT SELECT ON ALX_prodev.* TO 'userstream'@'%';
SQL
