#!/usr/bin/env bash
# The Python environment of a checkout, from nothing but python3 (uv is brought into .uv/ if there is none).
#   venv.sh install DIR PYTHON   everything in requirements.lock, hashes checked, and the `conecta` command
#   venv.sh lock [FLAG...]       writes the locks anew from pyproject.toml; --upgrade takes newer versions
#   venv.sh find VERSION         prints the path of that Python, if this machine has it
# Registries and certificates are those of the machine's own configuration: UV_*, uv.toml, PIP_*, pip.conf.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PIP=()

say() { echo "venv: $*" >&2; }

works() { "$@" >/dev/null 2>&1; }

# The first pip to be had: of this Python, of a venv, or of Debian's package, unpacked without installing it.
find_pip() {
    if works python3 -m pip --version; then
        PIP=(python3 -m pip)
    elif works python3 -c 'import ensurepip'; then
        python3 -m venv .uv/pip
        PIP=(.uv/pip/bin/python -m pip)
    elif works apt-get --version && unpack_debian_pip; then
        PIP=(.uv/apt/unpacked/usr/share/python-wheels/pip-*.whl)
        PIP=(python3 "${PIP[0]}/pip")
    else
        say "there is no uv and no pip to get it with: install uv, or (Debian) apt-get install python3-venv"
        exit 1
    fi
}

# As any user: lists and archives of our own, from the sources that apt is configured with.
unpack_debian_pip() {
    say "python3 came without pip and venv: unpacking Debian's python3-pip-whl into .uv/"
    local own=$PWD/.uv/apt options
    options=(-qq -o "Dir::State::lists=$own/lists" -o "Dir::Cache=$own/cache" -o APT::Sandbox::User=root)
    mkdir -p "$own/lists/partial" "$own/cache/archives/partial" &&
        apt-get "${options[@]}" update &&
        (cd "$own" && apt-get "${options[@]}" download python3-pip-whl) &&
        dpkg-deb -x "$own"/python3-pip-whl_*.deb "$own/unpacked"
}

find_uv() {
    if works "${UV:=$(command -v uv || echo .uv/bin/uv)}" --version; then return; fi
    UV=.uv/bin/uv
    if works "$UV" --version; then return; fi
    works python3 --version || { say "python3 is missing: install Python 3.11 or newer"; exit 1; }
    find_pip
    say "bringing uv with ${PIP[*]}"
    PIP_ROOT_USER_ACTION=ignore "${PIP[@]}" --quiet --disable-pip-version-check install --upgrade \
        --require-hashes --only-binary :all: --target .uv --requirement requirements-uv.lock
    rm -rf .uv/apt .uv/pip
    works "$UV" --version || { say "the uv installed in .uv/ does not run on this machine"; exit 1; }
}

pip_conf_index() {
    python3 - <<'PYTHON'
import configparser, os
folders = ["/etc/xdg/pip", "/etc", "~/.pip", os.environ.get("XDG_CONFIG_HOME", "~/.config") + "/pip"]
files = [os.path.expanduser(folder) + "/pip.conf" for folder in folders]
conf = configparser.RawConfigParser()
conf.read([*files, os.environ.get("PIP_CONFIG_FILE", "")])
print(conf.get("global", "index-url", fallback=""))
PYTHON
}

# uv reads neither PIP_* nor pip.conf: hand over what they say of index and trust, unless uv has its own.
hand_over_pip_settings() {
    export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true} UV_NATIVE_TLS=${UV_NATIVE_TLS:-true}  # new name, old name
    [ -n "${PIP_CERT:-}" ] && export SSL_CERT_FILE=${SSL_CERT_FILE:-$PIP_CERT}
    [ -n "${PIP_TRUSTED_HOST:-}" ] && export UV_INSECURE_HOST=${UV_INSECURE_HOST:-$PIP_TRUSTED_HOST}
    local config
    for config in /etc/uv/uv.toml "${XDG_CONFIG_HOME:-~/.config}/uv/uv.toml"; do
        [ -e "$config" ] && return
    done
    [ -n "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}${UV_CONFIG_FILE:-}" ] && return
    local index=${PIP_INDEX_URL:-$(pip_conf_index)}
    [ -n "$index" ] && export UV_DEFAULT_INDEX=$index
    return 0
}

# Whether DIR runs the version of Python asked for: another PYTHON=, or an upgrade, makes a new environment.
current() {
    local version='import sys; print(sys.version_info[:2])'
    works "$1/bin/python" -c '' || return 1
    works "$2" -c '' || return 0
    [ "$("$1/bin/python" -c "$version")" = "$("$2" -c "$version")" ]
}

create() {
    local dir=$1 python=$2
    if [ "$python" = python3 ] && ! works python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        say "python3 is older than 3.11: looking for a newer one"
        python='>=3.11'
    fi
    if [ -e "$dir/pyvenv.cfg" ]; then rm -rf "$dir"; fi
    "$UV" venv --quiet --python "$python" "$dir"
}

# What is built here (this project, and nkeys, which comes as source only) is built with what the lock holds: build
# environments of their own would take whatever the registry offers, unchecked.
install() {
    current "$1" "$2" || create "$1" "$2"
    local into=(--quiet --python "$1/bin/python" --no-build-isolation)
    sed -n '/^setuptools==/,/^ *# via/p' requirements.lock |
        "$UV" pip install "${into[@]}" --require-hashes --no-deps --requirement -
    "$UV" pip sync "${into[@]}" --require-hashes requirements.lock
    "$UV" pip install "${into[@]}" --no-deps --no-index --editable .
}

lock() {
    local options=(--quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock")
    "$UV" pip compile "${options[@]}" "$@" --all-extras --output-file requirements.lock pyproject.toml
    echo uv | "$UV" pip compile "${options[@]}" "$@" --output-file requirements-uv.lock -
}

# Versions that pyenv keeps are behind shims which answer only for the one in use: look into their folders.
find() {
    local dir pyenv=${PYENV_ROOT:-~/.pyenv}
    for dir in "$pyenv/versions/$1"*/bin; do PATH=$dir:$PATH; done
    "$UV" python find --no-project --no-python-downloads "$1"
}

find_uv
hand_over_pip_settings
"$@"
