#!/usr/bin/env bash
# A headless Chromium for the tests of pages: finds one, or on Debian and as root installs it.
#
#   eval "$(bash scripts/browser.sh)"          prints `export PLINTH_TEST_CHROMIUM=/path`
#   bash scripts/browser.sh --find             the same, and installs nothing: exit code 1 when there is none
#
# Only the export goes to stdout, everything else to stderr. PLINTH_TEST_CHROMIUM, when it is set, is taken as it is.
set -euo pipefail

fail() { printf 'browser: %s\n' "$*" >&2; exit 1; }

find_one() {
  local name
  for name in "${PLINTH_TEST_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && command -v "$name"; then return 0; fi
  done
  return 1
}

if ! path="$(find_one)"; then
  [ "${1:-}" != --find ] || fail 'there is no Chromium; bash scripts/browser.sh installs one on Debian'
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail 'there is no Chromium: install one (Debian: sudo apt-get install chromium), or set PLINTH_TEST_CHROMIUM to its path'
  fi
  printf 'browser: installing chromium\n' >&2
  apt-get update >&2 || printf 'browser: the list of packages could not be refreshed; the known one is used\n' >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium fonts-dejavu-core >&2
  path="$(find_one)" || fail 'chromium was installed, and is not found'
fi
printf 'export PLINTH_TEST_CHROMIUM=%q\n' "$path"
