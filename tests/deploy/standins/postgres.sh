#!/bin/bash
# The part of the official image's entry point that AutoISP uses: a database, its owner and a password.
set -euo pipefail
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
data=${PGDATA:-/var/lib/postgresql/data}
if [ "$(id -u)" = 0 ]; then
    chown database:database /var/lib/postgresql/data /var/run/postgresql
    exec setpriv --reuid database --regid database --init-groups bash "$0" "$@"
fi
if [ ! -s "$data/PG_VERSION" ]; then
    mkdir -p "$data" && chmod 0700 "$data"
    initdb --pgdata "$data" --username "$POSTGRES_USER" --auth-local trust --auth-host scram-sha-256 \
        --pwfile <(printf '%s\n' "$POSTGRES_PASSWORD")
    echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
    pg_ctl --pgdata "$data" --options "-c listen_addresses=''" --wait start
    createdb --host /var/run/postgresql --username "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --pgdata "$data" --wait stop
fi
exec postgres -D "$data" -c listen_addresses='*'
