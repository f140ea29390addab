#!/usr/bin/env bash
# bench/peers/run.sh [options of compare.py]: tilewise beside OpenVINO, ONNX Runtime, CTranslate2 and PyTorch, in one go; prints one table.
# Builds its own Python environment under build/peers-venv the first time; PEERS_PYTHON=... uses another one. Needs ./dev build.
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${PEERS_PYTHON:-build/peers-venv/bin/python}
if [[ -z ${PEERS_PYTHON:-} ]] && ! cmp -s bench/peers/requirements.txt build/peers-venv/installed.txt; then
  echo "installing bench/peers/requirements.txt into build/peers-venv (once; about 2 GB)" >&2
  python3 -m venv build/peers-venv
  build/peers-venv/bin/python -m pip install --quiet --disable-pip-version-check -r bench/peers/requirements.txt
  cp bench/peers/requirements.txt build/peers-venv/installed.txt
fi
tools/fetch_backbone.sh build/models/all-minilm-l6-v2
exec "$python" bench/peers/compare.py "$@"
