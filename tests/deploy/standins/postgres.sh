#!/bin/bash
# The part of the official image's entry point that AutoISP uses: a database, its owner and a password.
set -euo pipefail
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
data=${PGDATA:-/var/lib/postgresql/data}
if [ "$(id -u)" = 0 ]; then
    chown database:database /var/lib/postgresql/data /var/run/postgresql
    exec setpriv --reuid database --regid database --init-groups bash "$0" "$@"
fi
sockets=/var/run/postgresql
[ -w "$sockets" ] || sockets=/tmp
if [ ! -s "$data/ready" ]; then
    rm -rf "$data" 2>/dev/null || rm -rf "$data"/*
    mkdir -p "$data" && chmod 0700 "$data"
    initdb --pgdata "$data" --username "$POSTGRES_USER" --auth-local trust --auth-host scram-sha-256 \
        --pwfile <(printf '%s\n' "$POSTGRES_PASSWORD")
    echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
    pg_ctl --pgdata "$data" --options "-c listen_addresses='' -c unix_socket_directories=$sockets" --wait start
    createdb --host "$sockets" --username "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --pgdata "$data" --wait stop
    echo yes >"$data/ready"
fi
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories="$sockets"
