#!/bin/sh
# Installs claude-mailbox for this user: with uv, pipx or pip, whichever is there, then autostart, then
# a check. It asks nothing, needs no administrator, and can be run again to update.
#
#   sh install.sh [--dry-run] [--no-autostart]
#
# CLAUDE_MAILBOX_SOURCE installs from elsewhere, such as a folder or a wheel.
set -eu

source=${CLAUDE_MAILBOX_SOURCE:-claude-mailbox}
dry_run=
autostart=yes

usage() {
    echo 'Usage: sh install.sh [--dry-run] [--no-autostart]'
}

fail() {
    echo "Error: $1" >&2
    exit 1
}

# Runs a command, or only shows it.
run() {
    echo "+ $*"
    [ -n "$dry_run" ] || "$@"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Prints a Python of version 3.11 or newer.
find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if has "$name" &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

# Prints the folder into which the command was installed.
find_folder() {
    if has uv && [ "$tool" = uv ]; then
        uv tool dir --bin
    elif [ "$tool" = pipx ]; then
        pipx environment --value PIPX_BIN_DIR
    else
        echo "$venv/bin"
    fi
}

while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) dry_run=yes ;;
    --no-autostart) autostart= ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        fail "'$1' is not an option of this script."
        ;;
    esac
    shift
done

home=${CLAUDE_MAILBOX_HOME:-$HOME/.claude-mailbox}
# shellcheck disable=SC2088 # the text in the variable is meant
case $home in
'~' | '~/'*) home=$HOME${home#'~'} ;;
esac
venv=$home/venv

if has uv; then
    tool=uv
    run uv tool install --force --upgrade "$source"
elif has pipx; then
    tool=pipx
    run pipx install --force "$source"
else
    tool=pip
    python=$(find_python) ||
        fail 'No uv, no pipx and no Python 3.11 or newer is on the PATH: install one of them first.'
    run mkdir -p -m 700 "$home"
    run "$python" -m venv "$venv"
    run "$venv/bin/python" -m pip install --quiet --upgrade "$source"
fi

command=$(find_folder)/claude-mailbox
if [ -n "$autostart" ]; then
    # Where there is no service manager the daemon runs until the next restart of the machine.
    run "$command" install-autostart || run "$command" start
else
    run "$command" start
fi
run "$command" doctor || echo "Some checks failed: each line above says what to do." >&2
case :$PATH: in
*":${command%/*}:"*) ;;
*) echo "Add the folder of the command to your PATH: ${command%/*}" ;;
esac
