# shellcheck shell=bash disable=SC2034,SC2154
# PgBouncer in transaction mode before the test Postgres, which it brings up. Port: PLINTH_PGBOUNCER_PORT (64329). Never by
# Docker: one process, from the binaries of this machine.
variable=PLINTH_TEST_PGBOUNCER_URL
port="${PLINTH_PGBOUNCER_PORT:-64329}"
postgres_port="${PLINTH_POSTGRES_PORT:-54329}"
# direct: where what needs a session of its own goes, past the pooler.
url="postgres://plinth:plinth@127.0.0.1:$port/plinth?pooler=transaction&direct=127.0.0.1:$postgres_port"

# PgBouncer refuses to run as root, and the user `postgres` may not enter every folder.
place() {
  folder="$data"
  if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin postgres
    folder="/var/tmp/plinth-engines-$(printf %s "$data" | cksum | cut -d' ' -f1)"
  fi
  mkdir -p "$folder"
  if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; fi
}

as_owner() {
  if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

ours() { [ -f "$folder/pid" ] && kill -0 "$(cat "$folder/pid")" 2>/dev/null; }
gone() { ! ours; }
listens() { port_taken "$port"; }

up() {
  PATH="$PATH:/usr/sbin"
  command -v pgbouncer >/dev/null || install pgbouncer pgbouncer
  bash "$here/engines.sh" up postgres >/dev/null
  place
  if ours && listens; then return; fi
  if listens; then
    log "pgbouncer: port $port is in use, by another checkout's, which is used: else set PLINTH_PGBOUNCER_PORT"
    return
  fi
  echo '"plinth" "plinth"' >"$folder/users.txt"
  cat >"$folder/pgbouncer.ini" <<INI
[databases]
* = host=127.0.0.1 port=$postgres_port
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $folder/users.txt
admin_users = plinth
pool_mode = transaction
max_client_conn = 500
default_pool_size = 20
server_login_retry = 1
logfile = $folder/server.log
pidfile = $folder/pid
INI
  rm -f "$folder/pid"
  as_owner "$(command -v pgbouncer)" -d "$folder/pgbouncer.ini" >&2 || fail "pgbouncer: did not start: see $folder/server.log"
  wait_until pgbouncer listens
}

down() {
  place
  if ours; then
    kill "$(cat "$folder/pid")"
    wait_until 'stopped pgbouncer' gone
  fi
  if [ "$purge" = 1 ]; then rm -rf "$folder"; fi
}

status() {
  place
  ours && listens
}
