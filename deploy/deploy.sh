#!/usr/bin/env bash
# Deploys what FUNCTIONS names to a stage, one by one; the whole stack where STACK is true or FUNCTIONS is "all".
set -euo pipefail
cd "$(dirname "$0")/.."
stage=${1:?the stage, dev or prod}

# GitHub hands on a variable that nobody has set as an empty one: osls would take that for its value.
for name in $(compgen -e); do [[ -n ${!name} ]] || unset "$name"; done

if [[ ${STACK:-false} == true || ${FUNCTIONS:-} == all ]]; then
    deploy/node_modules/.bin/osls deploy --stage "$stage" --param "arch=${ARCH:-arm64}"
    exit
fi
# shellcheck disable=SC2086 # several words are several functions
.venv/bin/python -m deploy.function ${FUNCTIONS:?names of folders in functions/} --stage "$stage" --arch "${ARCH:-arm64}"
