#!/usr/bin/env bash
# Deploys what FUNCTIONS names to a stage, one by one; the whole stack where STACK is true or FUNCTIONS is "all".
set -euo pipefail
cd "$(dirname "$0")/.."
stage=${1:?the stage, dev or prod}
osls=deploy/node_modules/.bin/osls

if [[ ${STACK:-false} == true || ${FUNCTIONS:-} == all ]]; then
    "$osls" deploy --stage "$stage" --param "arch=${ARCH:-arm64}"
    exit
fi
for folder in ${FUNCTIONS:?names of folders in functions/}; do
    # meta_api is metaApi in serverless.yml.
    name=$(sed -E 's/_([a-z])/\U\1/g' <<<"$folder")
    "$osls" deploy function --function "$name" --stage "$stage" --param "arch=${ARCH:-arm64}"
done
