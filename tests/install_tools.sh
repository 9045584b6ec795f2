#!/bin/sh
# What the tests need beside Python: Chromium or Chrome, poppler's PDF tools, Java for EPUBCheck.
# Uses what is there; as root on Debian it installs the rest.
set -e
has() { command -v "$1" >/dev/null; }
missing=
has chromium || has chromium-browser || has google-chrome || has google-chrome-stable ||
    missing="$missing chromium fonts-dejavu-core"
has pdftohtml || missing="$missing poppler-utils"
has java || missing="$missing default-jre-headless"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "tests: please install$missing (those are Debian's package names), then run this again" >&2
    exit 1
fi
apt-get update -qq
# shellcheck disable=SC2086 # a list of packages
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
