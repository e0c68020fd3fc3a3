#!/usr/bin/env bash
# OpenStack Swift with its S3 API, on four ports of 127.0.0.1, in a temporary folder.
#
#   swift.sh check                               is all there that it needs?
#   swift.sh run PROXY ACCOUNT CONTAINER OBJECT  says "up" once all listen; ends when its stdin does
#
# Its stdin is its lifeline: whoever started it may end in any way, even by SIGKILL, and nothing is
# left behind, no process and no folder.
set -euo pipefail

packages='swift-proxy swift-account swift-container swift-object'

die() {
  echo "$*" >&2
  exit 1
}

check() {
  local program
  for program in swift-ring-builder swift-{proxy,account,container,object}-server; do
    command -v "$program" >/dev/null || die "test:s3 needs OpenStack Swift, from the Debian packages $packages: apt-get install -y --no-install-recommends $packages"
  done
}

# Swift keeps what it knows of an object in user xattrs, which not every file system has.
has_xattrs() {
  /usr/bin/python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.swift", b"1")' "$1" 2>/dev/null
}

open_folder() {
  local parent
  for parent in "${TMPDIR:-/tmp}" /var/tmp "$PWD"; do
    folder=$(mktemp -d "$parent/frameio-s3-XXXXXX" 2>/dev/null) || continue
    if has_xattrs "$folder"; then return; fi
    rm -rf "$folder"
  done
  die 'test:s3 needs a temporary folder on a file system with user xattrs, such as ext4: set TMPDIR to one'
}

# What is in the folder is thrown away, so nobody needs time to say goodbye.
end() {
  if [ ${#servers[@]} -gt 0 ]; then
    kill -KILL "${servers[@]}" || true
    wait "${servers[@]}" || true
  fi 2>/dev/null
  if [ -n "$folder" ]; then rm -rf "$folder"; fi
}

common() {
  cat <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $1
swift_dir = $folder
user = $(id -un)
workers = 0
CONF
}

# A ring of one device, and the server that looks after it.
backend() {
  local name=$1 port=$2 ring="$folder/$1.builder"
  {
    swift-ring-builder "$ring" create 4 1 1
    swift-ring-builder "$ring" add "r1z1-127.0.0.1:$port/d1" 1
    swift-ring-builder "$ring" rebalance
  } >"$folder/$name-ring.log" || die "$(cat "$folder/$name-ring.log")"
  {
    common "$port"
    cat <<CONF
devices = $folder/dev
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = $name-server
[app:$name-server]
use = egg:swift#$name
recon_cache_path = $folder/recon
CONF
  } >"$folder/$name.conf"
}

proxy() {
  local filter
  common "$1"
  cat <<CONF
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
max_upload_part_num = 10000
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
CONF
  for filter in catch_errors gatekeeper healthcheck listing_formats bulk copy slo dlo symlink; do
    printf '[filter:%s]\nuse = egg:swift#%s\n' "$filter" "$filter"
  done
}

# Whether somebody listens on all of these ports. A proxy that once found nobody behind it does not
# look again for a minute, so its own word that it is well would not do.
listening() {
  /usr/bin/python3 -c 'import socket, sys
for port in sys.argv[1:]:
    socket.create_connection(("127.0.0.1", int(port)), timeout=5).close()' "$@" 2>/dev/null
}

run() {
  local name server rings=()
  folder=''
  servers=()
  trap end EXIT
  trap 'exit 1' INT TERM HUP
  open_folder
  mkdir -p "$folder"/dev/d1 "$folder/recon"

  backend account "$2" & rings+=($!)
  backend container "$3" & rings+=($!)
  backend object "$4" & rings+=($!)
  for server in "${rings[@]}"; do wait "$server"; done
  proxy "$1" >"$folder/proxy.conf"

  for name in account container object proxy; do
    "swift-$name-server" "$folder/$name.conf" >"$folder/$name.log" 2>&1 </dev/null &
    servers+=($!)
  done
  until listening "$@"; do
    for server in "${servers[@]}"; do
      kill -0 "$server" 2>/dev/null || die "Swift did not start: $(cat "$folder"/*.log)"
    done
    sleep 0.1
  done
  echo up
  cat >/dev/null
}

check
case ${1:-} in
  check) ;;
  run) run "${@:2}" ;;
  *) die 'usage: swift.sh check | run PROXY ACCOUNT CONTAINER OBJECT' ;;
esac
