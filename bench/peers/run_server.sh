#!/usr/bin/env bash
# bench/peers/run_server.sh [options of compare_server.py]: `tilewise serve` beside a FastAPI + ONNX Runtime service; prints one table.
# Uses the Python environment of run.sh with the packages of requirements-server.txt on top. Needs ./dev build.
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${PEERS_PYTHON:-build/peers-venv/bin/python}
if [[ -z ${PEERS_PYTHON:-} ]] && ! cat bench/peers/requirements.txt bench/peers/requirements-server.txt | cmp -s - build/peers-venv/installed-server.txt; then
  bench/peers/run.sh --help > /dev/null # installs the packages of the comparison, if need be
  "$python" -m pip install --quiet --disable-pip-version-check -r bench/peers/requirements-server.txt
  cat bench/peers/requirements.txt bench/peers/requirements-server.txt > build/peers-venv/installed-server.txt
fi
tools/fetch_backbone.sh build/models/all-minilm-l6-v2
exec "$python" bench/peers/compare_server.py "$@"
