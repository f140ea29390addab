#!/usr/bin/env bash
# deploy/batch/nightly.sh MODEL CATALOG PAIRS DIR: a night's scores into DIR/YYYY-MM-DD, for cron:
#   0 2 * * *   /opt/tilewise/nightly.sh /models/product-search.tw /data/catalog.jsonl /data/pairs.jsonl /data/scores
# What has not changed since the last complete night is taken from there. Started again after an interrupt it goes on where it was.
set -euo pipefail

model=$1 catalog=$2 pairs=$3 directory=$4
tonight=$directory/$(date +%F) latest=$directory/latest

mkdir -p "$directory"
exec 9>"$directory/.lock"
flock --nonblock 9 || { echo "nightly: another run is at work" >&2; exit 0; }

since=()
if [[ -e $latest/_SUCCESS && ! $latest -ef $tonight ]]; then since=(--since "$latest"); fi
"${TILEWISE:-tilewise}" batch "$model" --task duplicate --catalog "$catalog" --input "$pairs" --output "$tonight" "${since[@]}"
ln --symbolic --force --no-dereference "$(basename "$tonight")" "$latest"
