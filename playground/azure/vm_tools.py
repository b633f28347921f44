"""The commands a playground VM brings along: small shell scripts that keep their state in the VM's folder.

They stand in for what only a real machine has (services, its own disk, its own network). Every change they
make is written to `effects.log`, one line per change, so that executions can be counted.
"""

from pathlib import Path

_FIND_ROOT = """#!/bin/bash
VM_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
effect() { printf '%s %s\\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >> "$VM_ROOT/effects.log"; }
"""

_SYSTEMCTL = """
quiet=; words=()
for word in "$@"; do
  case "$word" in --quiet|-q) quiet=1 ;; -*) ;; *) words+=("${word%.service}") ;; esac
done
verb="${words[0]:-list-units}"; units=("${words[@]:1}")
state() { cat "$VM_ROOT/units/$1" 2>/dev/null; }
known() {
  [ -e "$VM_ROOT/units/$1" ] && return 0
  echo "Failed to $verb $1.service: Unit $1.service not found." >&2; return 5
}
change() {
  known "$1" || return
  if [ -e "$VM_ROOT/units/$1.broken" ] && [ "$2" = active ]; then
    echo failed > "$VM_ROOT/units/$1"; effect "systemctl $verb $1 failed"
    echo "Job for $1.service failed because the control process exited with error code." >&2
    echo 'See "systemctl status '"$1"'.service" and "journalctl -xeu '"$1"'.service" for details.' >&2
    return 1
  fi
  echo "$2" > "$VM_ROOT/units/$1"; effect "systemctl $verb $1"
  printf '%s %s systemd[1]: %s %s.service\\n' "$(date -u '+%b %d %T')" "$(cat "$VM_ROOT/etc/hostname")" \
    "$([ "$2" = active ] && echo Started || echo Stopped)" "$1" >> "$VM_ROOT/journal/$1"
}
show() {
  if ! [ -e "$VM_ROOT/units/$1" ]; then echo "Unit $1.service could not be found." >&2; return 4; fi
  echo "$1.service - $1 of the playground"
  echo "     Loaded: loaded (/lib/systemd/system/$1.service; enabled)"
  echo "     Active: $(state "$1")"
  [ "$(state "$1")" = active ] || return 3
}
is_state() {
  now="$(state "$1")"; now="${now:-inactive}"
  [ -n "$quiet" ] || echo "$now"
  if [ "$verb" = is-failed ]; then [ "$now" = failed ]; else [ "$now" = active ] || return 3; fi
}
each() { rc=0; for unit in "${units[@]}"; do "$@" "$unit" || rc=$?; done; return "$rc"; }
to() { change "$2" "$1"; }
case "$verb" in
  start|restart) each to active ;;
  reload|try-restart|reload-or-restart) each to active ;;
  stop) each to inactive ;;
  enable|disable|daemon-reload|reset-failed) effect "systemctl $verb ${units[*]}" ;;
  is-active|is-failed) each is_state ;;
  status) each show ;;
  show) for unit in "${units[@]}"; do now="$(state "$unit")"; echo "ActiveState=${now:-inactive}"; done ;;
  list-units) for file in "$VM_ROOT"/units/*; do
      case "$file" in *.broken) ;; *) echo "${file##*/}.service loaded $(cat "$file")" ;; esac; done ;;
  *) echo "Unknown command verb $verb." >&2; exit 1 ;;
esac
"""

_JOURNALCTL = """
unit=; lines=1000
while [ $# -gt 0 ]; do
  case "$1" in
    -u|--unit|-xeu) unit="${2%.service}"; shift ;;
    --unit=*) unit="${1#--unit=}"; unit="${unit%.service}" ;;
    -n|--lines) lines="$2"; shift ;;
    -n*) lines="${1#-n}" ;;
    --lines=*) lines="${1#--lines=}" ;;
    --since|--until|-o|-p) shift ;;
  esac; shift
done
files=("$VM_ROOT"/journal/"${unit:-*}"); [ -n "$unit" ] || files=("$VM_ROOT"/journal/*)
found=; for file in "${files[@]}"; do [ -e "$file" ] && found=1; done
if [ -z "$found" ]; then echo "-- No entries --"; exit 0; fi
cat "${files[@]}" | tail -n "$lines"
"""

_DF = """
used="$(cat "$VM_ROOT/etc/disk_used_percent")"
size=31457280; taken=$((size * used / 100))
echo "Filesystem     1K-blocks     Used Available Use% Mounted on"
printf '/dev/root      %9d %8d %9d %3d%% /\\n' "$size" "$taken" "$((size - taken))" "$used"
"""

_CURL = """
for word in "$@"; do case "$word" in http*) url="$word" ;; esac; done
case "${url:-}" in
  http://localhost*|http://127.0.0.1*) ;;
  *) echo "curl: (6) Could not resolve host: ${url:-}" >&2; exit 6 ;;
esac
if [ "$(cat "$VM_ROOT/units/nginx" 2>/dev/null)" != active ]; then
  echo "curl: (7) Failed to connect to localhost port 80: Connection refused" >&2; exit 7
fi
case " $* " in
  *http_code*) printf 200 ;;
  *) echo "ok" ;;
esac
"""

_PSQL = """
used="$VM_ROOT/etc/connections_used_percent"
case "$*" in *--command=*) sql="$*" ;; *) sql="$(cat)" ;; esac
case "$sql" in
  *pg_terminate_backend*) echo 12 > "$used"; effect "psql ended 31 idle sessions"; echo "ended=31" ;;
  *max_connections*) cat "$used" ;;
  *"GROUP BY"*) echo " app | orders | idle | 31 | 02:10:44" ;;
  *) echo " 4711 | app | 10.0.0.7 | 02:10:44" ;;
esac
"""

_RUNUSER = """
while [ $# -gt 0 ]; do case "$1" in -u) shift 2 ;; --) shift; break ;; -*) shift ;; *) break ;; esac; done
exec "$@"
"""

_SUDO = """
while [ $# -gt 0 ]; do case "$1" in -u|-g) shift 2 ;; -*) shift ;; *) break ;; esac; done
exec "$@"
"""

_SERVICE = 'exec "$VM_ROOT/bin/systemctl" "$2" "$1"\n'
_HOSTNAME = 'cat "$VM_ROOT/etc/hostname"\n'
_EFFECT = 'effect "$@"\n'

TOOLS = {
    "systemctl": _SYSTEMCTL,
    "journalctl": _JOURNALCTL,
    "df": _DF,
    "curl": _CURL,
    "psql": _PSQL,
    "runuser": _RUNUSER,
    "sudo": _SUDO,
    "service": _SERVICE,
    "hostname": _HOSTNAME,
    "effect": _EFFECT,
}

UNITS = {"nginx": "active", "ssh": "active", "cron": "active", "postgresql": "inactive", "app": "active"}


def install(root: Path, hostname: str) -> None:
    """Lay out a VM's folder; what is already there (a disk that survived) stays."""
    for folder in ("bin", "units", "journal", "tmp", "etc", "var/log"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, text in TOOLS.items():
        (root / "bin" / name).write_text(_FIND_ROOT + text)
        (root / "bin" / name).chmod(0o755)
    for name, state in UNITS.items():
        _first_time(root / "units" / name, f"{state}\n")
    _first_time(root / "journal" / "nginx", f"Nov 01 06:25:01 {hostname} systemd[1]: Started nginx.service\n")
    _first_time(root / "etc" / "hostname", f"{hostname}\n")
    _first_time(root / "etc" / "disk_used_percent", "41\n")
    _first_time(root / "etc" / "connections_used_percent", "91\n")
    _first_time(root / "effects.log", "")


def _first_time(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text)
