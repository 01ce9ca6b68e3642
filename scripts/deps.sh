# Sourced by the other scripts: installs what is missing and finds PostgreSQL's programs.

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else
        echo "This needs root, and there is no sudo: run as root: $*" >&2
        return 1
    fi
}

apt_install() {
    if ! command -v apt-get >/dev/null; then
        echo "Install these with your system's package manager, then run this again: $*" >&2
        return 1
    fi
    echo "installing $*" >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null 2>&1 || {
        as_root apt-get update -qq
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
    }
}

find_postgres() {
    local dir
    for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) "$(pg_config --bindir 2>/dev/null || true)" \
        /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
        if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then
            PG_BIN=$dir
            return 0
        fi
    done
    return 1
}

# Sets PG_BIN. Debian's package would start a cluster of its own, which nobody needs here.
need_postgres() {
    find_postgres && return 0
    if command -v apt-get >/dev/null; then
        as_root mkdir -p /etc/postgresql-common
        [ -e /etc/postgresql-common/createcluster.conf ] ||
            echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    apt_install postgresql
    find_postgres || { echo "PostgreSQL's programs (initdb, postgres) are still not found" >&2; return 1; }
}

need_cc() { command -v cc >/dev/null || apt_install gcc libc6-dev; }

# Postgres refuses to run as root: the user that it runs as then.
pg_user() { id -u postgres >/dev/null 2>&1 && echo postgres || echo nobody; }
