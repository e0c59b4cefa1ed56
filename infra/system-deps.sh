#!/usr/bin/env bash
# Install what the tests read our files with: Chromium, perl (for exiftool), Node.js readers from npm; clang, wrk and
# promtool.
# Safe to run again; needs root or sudo for Debian's packages only.
set -euo pipefail
cd "$(dirname "$0")/readers"

packages=()
command -v chromium >/dev/null || packages+=(chromium)
command -v perl >/dev/null || packages+=(perl)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
command -v wrk >/dev/null || packages+=(wrk)           # asks while rates are measured
command -v promtool >/dev/null || packages+=(prometheus) # checks the alert rules
command -v clang >/dev/null || packages+=(clang) # tinygrad compiles its kernels with it
if ((${#packages[@]})); then
  as_root=(env)
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || {
      echo "system-deps: needs root or sudo to install: ${packages[*]}" >&2
      exit 1
    }
    as_root=(sudo env) # sudo drops the environment
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${packages[@]}" >/dev/null
fi
npm ci --loglevel=error --no-audit --no-fund --ignore-scripts >/dev/null
echo "system-deps: chromium, perl, node and the npm readers are in place"
