#!/bin/sh
# Make the settings folder that docker/compose.yml reads: sh docker/make_secrets.sh FOLDER. As root.
# Existing files stay as they are, so it can be run again.
set -eu

folder="${1:?usage: make_secrets.sh FOLDER, such as /etc/anonymisation}"
secrets="$folder/secrets"
airflow_user=50000

# Readable by all inside a folder that only root may enter: on this host nobody but root gets to the files, and in a
# container, where one is mounted alone, every user does.
umask 022
mkdir -p "$folder" "$folder/config"
mkdir -p -m 700 "$secrets"
# The containers' user has root's group.
mkdir -p -m 750 "$folder/connections"
mkdir -p -m 700 "$folder/users"
chown "$airflow_user" "$folder/users"

random() { head -c 32 /dev/urandom | base64 | tr -d '\n'; }
hexadecimal() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
absent() { [ ! -e "$1" ] && echo "made: $1"; }

for name in postgres_password redis_password jwt_secret api_secret_key grafana_password; do
    if absent "$secrets/$name"; then hexadecimal >"$secrets/$name"; fi
done
if absent "$secrets/fernet_key"; then random | tr '+/' '-_' >"$secrets/fernet_key"; fi
if absent "$folder/connections/connections.yaml"; then
    cat >"$folder/connections/connections.yaml" <<'YAML'
# Airflow Connections, read again by every task. Remove those that are not needed: the built-in database then takes the
# records, or no mail is sent. Oracle: conn_type oracle, port 1521, and extra '{"service_name": "ROADS"}'.
anonymisation_db:
  conn_type: postgres
  host: db.example
  port: 5432
  login: loader
  password: fill in
  schema: roads
smtp_default:
  conn_type: smtp
  host: mail.example
  port: 587
  login: fill in
  password: fill in
  extra: '{"disable_ssl": true}'
YAML
    echo "  fill in the database of the records and the mail server"
fi
if absent "$folder/users/passwords.json"; then
    (umask 077 && printf '{"admin": "%s"}\n' "$(hexadecimal)" >"$folder/users/passwords.json")
    chown "$airflow_user" "$folder/users/passwords.json"
    echo "  the password of the user admin; Airflow writes to this file"
fi
if absent "$folder/config/config.yml"; then
    cp "$(dirname "$0")/../config/full_chain.yml" "$folder/config/config.yml"
    echo "  the configuration, a copy of config/full_chain.yml"
fi
