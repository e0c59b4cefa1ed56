#!/usr/bin/env bash
# Print .env.example with a new random secret wherever it leaves one empty: infra/make-env.sh > .env
set -euo pipefail
umask 077
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
while IFS= read -r line; do
  if [[ $line =~ ^[A-Z0-9_]+=$ ]]; then
    printf '%s%s\n' "$line" "$(random)"
  else
    printf '%s\n' "$line"
  fi
done <"$(dirname "$0")/../.env.example"
