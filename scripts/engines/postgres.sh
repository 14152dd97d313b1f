# shellcheck shell=bash disable=SC2034,SC2154
# PostgreSQL. Port: PLINTH_POSTGRES_PORT (54329). Durable settings as in production: fsync and synchronous_commit are on.
variable=PLINTH_TEST_POSTGRES_URL
port="${PLINTH_POSTGRES_PORT:-54329}"
url="postgres://plinth:plinth@127.0.0.1:$port/plinth"
connections_max=200

# The folder with initdb and pg_ctl: Debian keeps them out of PATH. The newest version wins.
bin_dir() {
  local newest
  newest="$(find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/initdb' 2>/dev/null | sort -V | tail -1)"
  if [ -n "$newest" ]; then dirname "$newest"; elif command -v initdb >/dev/null; then dirname "$(command -v initdb)"; fi
}

# PostgreSQL refuses to run as root: then it runs as the user `postgres`.
as_owner() {
  if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

# A clone below a folder that the user `postgres` may not enter (/root, mktemp -d) keeps its data outside.
place() {
  folder="$data"
  mkdir -p "$data"
  if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin postgres
    if ! as_owner test -x "$data"; then
      folder="/var/tmp/plinth-engines-$(printf %s "$data" | cksum | cut -d' ' -f1)"
      log "postgres: its user may not enter $data; the data goes to $folder"
      mkdir -p "$folder"
    fi
    chown postgres "$folder"
  fi
}

answers() { PGPASSWORD=plinth PGCONNECT_TIMEOUT=2 "$bin/psql" -X -q -h 127.0.0.1 -p "$port" -U plinth -d "${1:-plinth}" -c 'select 1'; }

up() {
  if docker_answers; then
    mkdir -p "$data/docker"
    compose_up postgres <<YAML
services:
  postgres:
    image: ${PLINTH_POSTGRES_IMAGE:-postgres:17}
    user: "$(id -u):$(id -g)"
    command: ["postgres", "-c", "max_connections=$connections_max"]
    environment: { POSTGRES_USER: plinth, POSTGRES_PASSWORD: plinth, POSTGRES_DB: plinth, PGDATA: /data/pgdata }
    ports: ["127.0.0.1:$port:5432"]
    volumes: ["$data/docker:/data"]
    healthcheck: { test: ["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "plinth", "-d", "plinth"], interval: 1s, retries: 60 }
YAML
    return
  fi
  bin="$(bin_dir)"
  if [ -z "$bin" ]; then
    # Without this line Debian's package makes, and under systemd starts, a cluster of its own on 5432.
    mkdir -p /etc/postgresql-common/createcluster.d 2>/dev/null &&
      echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/plinth.conf || true
    install postgres postgresql
    bin="$(bin_dir)"
    [ -n "$bin" ] || fail "postgres: installed, but initdb is not to be found under /usr/lib/postgresql"
  fi
  place
  if as_owner "$bin/pg_ctl" -D "$folder/data" status >/dev/null 2>&1 && answers >/dev/null 2>&1; then return; fi
  if port_taken "$port" && ! as_owner "$bin/pg_ctl" -D "$folder/data" status >/dev/null 2>&1; then
    answers >/dev/null 2>&1 || fail "postgres: port $port is taken by something else: set PLINTH_POSTGRES_PORT"
    log "postgres: another checkout already runs one on port $port, which is used"
    return
  fi
  if [ ! -f "$folder/data/PG_VERSION" ]; then
    rm -rf "$folder/data"
    as_owner bash -c "'$bin/initdb' -D '$folder/data' -U plinth --pwfile=<(echo plinth) --auth=scram-sha-256 -E UTF8 --locale=C" >&2
  fi
  as_owner "$bin/pg_ctl" -D "$folder/data" status >/dev/null 2>&1 ||
    as_owner "$bin/pg_ctl" -D "$folder/data" -l "$folder/server.log" -w -t "$wait_s" -o "-p $port -c listen_addresses=127.0.0.1 \
-c unix_socket_directories='' -c max_connections=$connections_max" start >&2 </dev/null ||
    fail "postgres: did not start: see $folder/server.log"
  wait_until postgres answers postgres
  answers >/dev/null 2>&1 || PGPASSWORD=plinth "$bin/createdb" -h 127.0.0.1 -p "$port" -U plinth plinth
  wait_until postgres answers
}

down() {
  if by_docker postgres; then
    compose_down postgres
    return
  fi
  bin="$(bin_dir)"
  [ -n "$bin" ] || return 0
  place 2>/dev/null
  if as_owner "$bin/pg_ctl" -D "$folder/data" status >/dev/null 2>&1; then
    as_owner "$bin/pg_ctl" -D "$folder/data" -m fast -w -t "$wait_s" stop >&2
  fi
  if [ "$purge" = 1 ]; then rm -rf "$folder"; fi
}

status() {
  if by_docker postgres; then
    docker compose -p plinth-postgres -f "$data/compose.yaml" exec -T postgres pg_isready -h 127.0.0.1 -U plinth >/dev/null 2>&1
    return
  fi
  bin="$(bin_dir)"
  [ -n "$bin" ] && answers >/dev/null 2>&1
}
