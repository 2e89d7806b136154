# shellcheck shell=bash
# For scripts that need a live server: source this, then `start_demo NECTR FOLDER` and `stop_demo`.

demo=
folder=
export url=

# Starts a demo that has told its story and keeps what it writes in a folder below $2; sets $url.
start_demo() {
    folder=$(mktemp -d "$2/demo.XXXXXX")
    TMPDIR=$folder "$1" demo >"$folder/out" 2>"$folder/err" &
    demo=$!
    trap stop_demo EXIT
    until grep -q '^  Dashboard .*)$' "$folder/out" 2>/dev/null; do
        if ! kill -0 "$demo" 2>/dev/null; then
            cat "$folder/out" "$folder/err" >&2
            exit 1
        fi
        sleep 0.1
    done
    url=$(sed -n 's|^  Dashboard *\(http[^ ]*\)/dashboard.*|\1|p' "$folder/out")
}

stop_demo() {
    [ -n "$demo" ] || return 0
    kill "$demo" 2>/dev/null || true
    wait "$demo" || true
    rm -rf "$folder"
    demo=
}
