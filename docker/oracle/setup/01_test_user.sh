#!/bin/bash
# Run once by the image when its database is made: the user whose schema the tests fill and empty.
sqlplus -s / as sysdba <<SQL
ALTER SESSION SET CONTAINER = FREEPDB1;
CREATE USER pictures IDENTIFIED BY "${ORACLE_PWD}" QUOTA UNLIMITED ON users;
GRANT CREATE SESSION, CREATE TABLE TO pictures;
SQL
