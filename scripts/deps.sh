# Sourced by the other scripts: installs what is missing on Debian and Ubuntu, and finds PostgreSQL's programs.
# Anywhere else it says what to install.

say() { echo "hookgate: $*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt_install PACKAGE...
apt_install() {
    if ! command -v apt-get >/dev/null; then
        say "please install these with your system's package manager, then run this again: $*"
        return 1
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        say "there is no sudo here. Run this as root, then run this script again:"
        say "    apt-get update && apt-get install -y $*"
        return 1
    fi
    say "installing $*"
    # A machine that has just booted may be updating itself: wait for the lock instead of failing.
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
    as_root "${apt[@]}" install -y "$@" >/dev/null 2>&1 && return 0
    # Mostly the package lists are missing or old.
    as_root "${apt[@]}" update && as_root "${apt[@]}" install -y "$@" >/dev/null
}

# Sets PG_BIN to the folder of initdb and postgres, the newest one found.
# shellcheck disable=SC2034  # read by the scripts that source this
find_postgres() {
    local dir
    for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) \
        "$(dirname "$(command -v initdb || echo /none/initdb)")" \
        "$(pg_config --bindir 2>/dev/null || true)" \
        /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
        if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then
            PG_BIN=$dir
            return 0
        fi
    done
    return 1
}

need_postgres() {
    find_postgres && return 0
    if command -v apt-get >/dev/null && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        # Debian's package would also start a server of its own at every boot, which nobody here needs.
        if [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; then
            as_root mkdir -p /etc/postgresql-common
            echo 'create_main_cluster = false' |
                as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
        fi
    fi
    apt_install postgresql || return 1
    find_postgres || { say "PostgreSQL's programs (initdb, postgres) are still not found"; return 1; }
}

need_openssl() { command -v openssl >/dev/null || apt_install openssl; }

# A compiler driver alone is not enough: some images have `cc` without the C library's start files.
can_link() { echo 'int main(void) { return 0; }' | cc -x c -o /dev/null - 2>/dev/null; }

need_cc() {
    can_link && return 0
    apt_install gcc libc6-dev || return 1
    can_link || { say "\`cc\` still cannot link a program"; return 1; }
}

need_cargo() {
    command -v cargo >/dev/null && return 0
    # rustup puts it here; a shell that was open before, or sudo, does not look there.
    PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    command -v cargo >/dev/null && return 0
    say "Rust is missing: install it with rustup (https://rustup.rs), then run this again"
    return 1
}

# need_component rustfmt fmt: a part of Rust that a minimal rustup leaves out.
need_component() {
    cargo "$2" --version >/dev/null 2>&1 && return 0
    say "adding Rust's $1"
    rustup component add "$1" >/dev/null 2>&1 || { say "\`cargo $2\` is missing: rustup component add $1"; return 1; }
}

# Postgres refuses to run as root: the user that it runs as then.
pg_user() { id -u postgres >/dev/null 2>&1 && echo postgres || echo nobody; }

# Where cargo puts what it builds.
target_dir() { echo "${CARGO_TARGET_DIR:-target}"; }
