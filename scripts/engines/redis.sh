# shellcheck shell=bash disable=SC2034,SC2154
# Redis. Port: PLINTH_REDIS_PORT (63799). No password, on 127.0.0.1 only. Appends to a file, synced each second.
variable=PLINTH_TEST_REDIS_URL
port="${PLINTH_REDIS_PORT:-63799}"
url="redis://127.0.0.1:$port"

# The server's answer to PING, asked without any client installed.
answers() {
  local reply=''
  exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
  printf 'PING\r\n' >&3
  read -r -t 2 reply <&3 || true
  exec 3>&-
  [ "${reply%$'\r'}" = +PONG ]
}
pings() { (answers) 2>/dev/null; }

ours() { [ -f "$data/pid" ] && kill -0 "$(cat "$data/pid")" 2>/dev/null; }
gone() { ! ours; }

up() {
  if docker_answers; then
    mkdir -p "$data/docker"
    compose_up redis <<YAML
services:
  redis:
    image: ${PLINTH_REDIS_IMAGE:-redis:7}
    user: "$(id -u):$(id -g)"
    command: ["redis-server", "--appendonly", "yes"]
    ports: ["127.0.0.1:$port:6379"]
    volumes: ["$data/docker:/data"]
    healthcheck: { test: ["CMD", "redis-cli", "ping"], interval: 1s, retries: 60 }
YAML
    return
  fi
  if ours && pings; then return; fi
  if port_taken "$port"; then
    pings || fail "redis: port $port is taken by something else: set PLINTH_REDIS_PORT"
    log "redis: another checkout already runs one on port $port, which is used"
    return
  fi
  command -v redis-server >/dev/null || install redis redis-server
  mkdir -p "$data"
  redis-server --port "$port" --bind 127.0.0.1 --dir "$data" --appendonly yes --save '' --daemonize yes \
    --pidfile "$data/pid" --logfile "$data/server.log" >&2 || fail "redis: did not start: see $data/server.log"
  wait_until redis pings
}

down() {
  if by_docker redis; then
    compose_down redis
    return
  fi
  if ours; then
    kill "$(cat "$data/pid")"
    wait_until 'stopped redis' gone
  fi
}

status() { pings; }
