#!/usr/bin/env bash
# Real engines for tests and benches: brings them up, down, or tells how they are.
#
#   eval "$(scripts/engines.sh up)"            every engine; prints `export PLINTH_TEST_..._URL=...` lines
#   eval "$(scripts/engines.sh up postgres)"   one engine
#   scripts/engines.sh status                  one line each; exit code 1 when one is down
#   scripts/engines.sh down [name...]          stops them and keeps their data
#   scripts/engines.sh down --purge [name...]  stops them and deletes their data
#
# With Docker Compose where a Docker daemon answers, otherwise from the binaries of this machine; on Debian and as root
# missing ones are installed. Engines listen on 127.0.0.1 only, on ports that no default install uses. Data lives under
# .engines/ (ignored by git). Only exports go to stdout, everything else to stderr.
#
# Settings: PLINTH_ENGINES_DIR (data), PLINTH_ENGINES_WAIT_S (limit of every wait, 60), PLINTH_ENGINES_DOCKER=0 (never
# Docker), and per engine its port: see scripts/engines/<name>.sh. An engine added later is one file there, which sets
# `variable` and `url` and defines `up`, `down` and `status`; each runs in a shell of its own with the helpers below.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
data_root="${PLINTH_ENGINES_DIR:-$(dirname "$here")/.engines}"
wait_s="${PLINTH_ENGINES_WAIT_S:-60}"

log() { printf 'engines: %s\n' "$*" >&2; }
fail() { log "$*"; exit 1; }

# Whether a Docker daemon answers. A client without one does not count.
docker_answers() {
  [ "${PLINTH_ENGINES_DOCKER:-1}" != 0 ] && command -v docker >/dev/null &&
    timeout 10 docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1
}

# compose_up NAME: runs the compose file on stdin and waits until its health check passes.
compose_up() {
  mkdir -p "$data_root/$1"
  cat >"$data_root/$1/compose.yaml"
  docker compose -p "plinth-$1" -f "$data_root/$1/compose.yaml" up -d --wait --wait-timeout "$wait_s" >&2
}
compose_down() { docker compose -p "plinth-$1" -f "$data_root/$1/compose.yaml" down >&2; }
# Whether NAME was last started by Docker.
by_docker() { [ -f "$data_root/$1/compose.yaml" ]; }

# wait_until WHAT COMMAND...: until COMMAND succeeds, at most $wait_s seconds.
wait_until() {
  local what="$1" ends=$((SECONDS + wait_s))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$ends" ] || fail "$what is not ready after $wait_s s"
    sleep 0.1
  done
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# install NAME PACKAGE...: Debian packages, when we may.
install() {
  local name="$1"
  shift
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "$name is not installed: start Docker, or install it (Debian: sudo apt-get install $*)"
  fi
  log "$name: installing $*"
  apt-get update >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2
}

run_engine() { (
  action="$1" name="$2" purge="$3"
  data="$data_root/$name"
  variable='' url=''
  # shellcheck source=/dev/null
  source "$here/engines/$name.sh"
  case "$action" in
    up) up && log "$name: up at $url" && printf 'export %s=%q\n' "$variable" "$url" ;;
    down)
      down && log "$name: down"
      if [ "$purge" = 1 ]; then rm -rf "$data" && log "$name: data deleted"; fi
      ;;
    status)
      if status; then log "$name: up at $url"; else log "$name: down" && exit 1; fi
      ;;
  esac
); }

main() {
  local action="${1:-}" purge=0 code=0 name
  local names=()
  case "$action" in
    up | down | status) shift ;;
    *) sed -n '2,8p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//' >&2 && exit 2 ;;
  esac
  for name in "$@"; do
    if [ "$name" = --purge ]; then purge=1; else names+=("$name"); fi
  done
  if [ "${#names[@]}" = 0 ]; then
    for name in "$here"/engines/*.sh; do names+=("$(basename "$name" .sh)"); done
  fi
  for name in "${names[@]}"; do
    [ -f "$here/engines/$name.sh" ] || fail "no engine named $name: there are $(cd "$here/engines" && echo *.sh | sed 's/\.sh//g')"
  done
  for name in "${names[@]}"; do run_engine "$action" "$name" "$purge" || code=1; done
  exit "$code"
}

main "$@"
