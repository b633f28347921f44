"""The bash text that runs on Linux machines: run-once guard, start deadline, timeout, report; probe, kill and read.

Needs bash 4, coreutils, gzip and /proc; ``setsid`` when there is one. It is plain text with ``@NAME@`` places that
``connectors.envelope`` fills with numbers, checked ids and base64, so nothing that a person typed is ever code here.
"""

from __future__ import annotations

from connectors import guest

#: Where an attempt keeps its state, and who belongs to it. Shared by every script.
COMMON = f"""\
places=("${{{guest.STATE_VARIABLE}:-{guest.STATE_FOLDER}}}" "${{HOME:-/root}}/{guest.STATE_FOLDER_FALLBACK}")
umask_before=$(umask); umask 077

find_folder() {{ # set $dir to the folder of this attempt, wherever it was made
  local place
  for place in "${{places[@]}}"; do [ -d "$place/$id" ] && dir=$place/$id && return 0; done
  return 1
}}

make_folder() {{ # 0: made by us, now; 1: it was there before; 2: it cannot be made
  local place
  find_folder && return 1
  for place in "${{places[@]}}"; do
    mkdir -p "$place" 2>/dev/null
    mkdir "$place/$id" 2>/dev/null && dir=$place/$id && return 0
    find_folder && return 1 # somebody else was faster
  done
  return 2
}}

now() {{ date +%s; }}
boot() {{ cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo none; }}
born() {{ # when a process began, in ticks since the boot; empty when it is gone
  local line; {{ read -r line <"/proc/$1/stat"; }} 2>/dev/null || return 1
  set -f; set -- ${{line##*) }}; set +f
  [ "$1" != Z ] && echo "${{20}}"
}}

members() {{ # living processes of a process group or session, its leader before it is one, and groups made inside
  local file line
  for file in /proc/[0-9]*/stat; do
    {{ read -r line <"$file"; }} 2>/dev/null || continue
    set -- "$1" ${{line##*) }}
    [ "$2" = Z ] && continue
    {{ [ "$4" = "$1" ] || [ "$5" = "$1" ] || [ "${{line%% *}}" = "$1" ]; }} && echo "${{line%% *}}"
  done
}}

stop_all() {{ # ask everything that the script started to end; after {guest.TERM_SECONDS} s, end it
  local left round
  kill -TERM -- "-$1" 2>/dev/null; kill -TERM $(members "$1") 2>/dev/null
  for ((round = 0; round < {guest.TERM_SECONDS * 5}; round++)); do
    [ -z "$(members "$1")" ] && return 0
    sleep 0.2
  done
  for ((round = 0; round < 10; round++)); do
    left=$(members "$1"); [ -z "$left" ] && return 0
    kill -KILL -- "-$1" 2>/dev/null; kill -KILL $left 2>/dev/null
    sleep 0.2
  done
  return 1
}}

whereabouts() {{ # read who runs: same boot only, so that a recycled process number is never touched
  local was
  envelope= envelope_born= group= group_born=
  {{ read -r was envelope envelope_born group group_born <"$dir/processes"; }} 2>/dev/null
  [ -n "$was" ] && [ "$was" = "$(boot)" ] && return 0
  envelope= envelope_born= group= group_born=
  return 1
}}
group_is_ours() {{ local start; start=$(born "$group"); [ -z "$start" ] || [ "$start" = "$group_born" ]; }}
envelope_lives() {{ [ -n "$envelope_born" ] && [ "$(born "$envelope")" = "$envelope_born" ]; }}
group_lives() {{ [ -n "$group" ] && group_is_ours && [ -n "$(members "$group")" ]; }}

size() {{ local n; n=$(wc -c 2>/dev/null <"$1") || n=0; echo $((n)); }}
pack() {{ if command -v gzip >/dev/null 2>&1; then gzip -9c; else cat; fi | base64 | tr -d '\\n'; }}
packed() {{ if command -v gzip >/dev/null 2>&1; then echo 1; else echo 0; fi; }}
ending() {{ {{ tail -c "$2" "$dir/$1"; cat "$dir/$1.end"; }} 2>/dev/null | tail -c "$2"; }}

fit() {{ # fit STREAM ROOM: $data is the longest end of the stream that fits when packed, $cut whether it is not all
  local low=0 high=$(($(size "$dir/$1") + $(size "$dir/$1.end"))) all middle try
  all=$high data=
  [ "$high" -gt {guest.TAIL_BYTES} ] && high={guest.TAIL_BYTES}
  middle=$high
  while [ "$high" -gt 0 ]; do
    try=$(ending "$1" "$middle" | pack)
    if [ "${{#try}}" -le "$2" ]; then data=$try low=$middle; else high=$middle; fi
    [ $((high - low)) -le 48 ] && break
    middle=$(((low + high) / 2))
  done
  cut=$((low < all ? 1 : 0))
}}

tell() {{ # tell STATE CODE: the last words, on both streams, and where they are found again
  local facts error= result out err capped=0 timeout=0 cancelled=0
  out=$(($(size "$dir/stdout") + $(size "$dir/stdout.end"))); err=$(($(size "$dir/stderr") + $(size "$dir/stderr.end")))
  [ -s "$dir/stdout.end" ] || [ -s "$dir/stderr.end" ] && capped=1
  [ -e "$dir/timeout" ] && timeout=1; [ -e "$dir/cancelled" ] && cancelled=1
  if [ "$err" -gt 0 ]; then
    fit stderr $((err_room - {guest.HEADER_BYTES}))
    error="{guest.MARKER} $id err {{\\"gz\\":$(packed),\\"cut\\":$cut}} $data"
  fi
  fit stdout $((out_room - {guest.HEADER_BYTES}))
  facts="\\"state\\":\\"$1\\",\\"rc\\":$2,\\"out\\":$out,\\"err\\":$err,\\"ms\\":${{took:-0}},\\"at\\":$(now)"
  facts="$facts,\\"timeout\\":$timeout,\\"cancelled\\":$cancelled,\\"open\\":${{open:-0}},\\"capped\\":$capped"
  result="{guest.MARKER} $id out {{$facts,\\"gz\\":$(packed),\\"cut\\":$cut}} $data"
  if [ -n "$dir" ] && [ "$3" = keep ]; then
    [ -n "$error" ] && printf '%s\\n' "$error" >"$dir/result.err"
    printf '%s\\n' "$result" >"$dir/result.new" && mv "$dir/result.new" "$dir/result"
  fi 2>/dev/null
  [ -n "$error" ] && printf '\\n%s\\n' "$error" >&2
  printf '\\n%s\\n' "$result"
}}

tell_again() {{ {{ echo; cat "$dir/result.err" 2>/dev/null; }} >&2; echo; cat "$dir/result"; }}
reply() {{ printf '\\n{guest.MARKER} %s %s {{"state":"%s","at":%s}}\\n' "$id" "$1" "$2" "$(now)"; }}
"""

ENVELOPE = f"""\
#!/bin/bash
# Runbook Bot, guest envelope {guest.VERSION}: runs one approved script at most once, in time, and reports how it ended.
id='@ID@'; not_after=@NOT_AFTER@; limit=@LIMIT@; sum='@SUM@'; out_room=@OUT_ROOM@; err_room=@ERR_ROOM@
script='
@SCRIPT@
'
{COMMON}
millis() {{ local n; n=$(date +%s%N); case $n in *N*) echo "$(now)000" ;; *) echo $((n / 1000000)) ;; esac; }}

collect() {{ # keep the beginning, then the very end: a runaway script fills no disk, a left daemon is never cut off
  if command -v stdbuf >/dev/null 2>&1; then stdbuf -o0 head -c {guest.KEPT_BYTES} >"$dir/$1"
  else head -c {guest.KEPT_BYTES} >"$dir/$1"; fi
  tail -c {guest.TAIL_BYTES} >"$dir/$1.end" 2>/dev/null || cat >/dev/null
}}

own_session() {{ if command -v setsid >/dev/null 2>&1; then exec setsid "$@"; else exec "$@"; fi; }}
command -v setsid >/dev/null 2>&1 || set -m

remove_old() {{
  local old until
  for old in "${{dir%/*}}"/*/; do
    {{ read -r until <"$old/not_after"; }} 2>/dev/null || continue
    [ $((until + {guest.KEEP_SECONDS})) -lt "$(now)" ] && rm -rf -- "$old"
  done
}}

dir=; open=0; took=0
make_folder
case $? in
  1) if [ -e "$dir/result" ]; then tell_again; else dir=; tell {guest.DUPLICATE} {guest.EXIT_DUPLICATE}; fi
     exit {guest.EXIT_DUPLICATE} ;;
  2) dir=; tell {guest.NO_STATE} {guest.EXIT_NO_STATE}; exit {guest.EXIT_NO_STATE} ;;
esac
echo "$not_after" >"$dir/not_after"
if [ "$(now)" -gt "$not_after" ]; then tell {guest.LATE} {guest.EXIT_LATE} keep; exit {guest.EXIT_LATE}; fi
printf '%s' "$script" | base64 -d >"$dir/script" 2>/dev/null
if command -v sha256sum >/dev/null 2>&1 && [ "$(sha256sum <"$dir/script")" != "$sum  -" ]; then
  tell {guest.DAMAGED} {guest.EXIT_DAMAGED} keep; exit {guest.EXIT_DAMAGED}
fi
remove_old
mkfifo "$dir/out.pipe" "$dir/err.pipe" 2>/dev/null || {{
  tell {guest.NO_STATE} {guest.EXIT_NO_STATE} keep; exit {guest.EXIT_NO_STATE}
}}
collect stdout <"$dir/out.pipe" >/dev/null 2>&1 & out_collector=$!
collect stderr <"$dir/err.pipe" >/dev/null 2>&1 & err_collector=$!

exec 3>&2 2>/dev/null # the shell's own remarks about killed jobs are not the script's
began=$(millis); boot=$(boot); self_born=$(born $$)
( # who runs is on disk before the script begins, and a cancel is looked for after that: one of the two sees the other
  self=$BASHPID
  printf '%s %s %s %s %s\\n' "$boot" "$$" "$self_born" "$self" "$(born "$self")" >"$dir/processes.new"
  mv "$dir/processes.new" "$dir/processes"
  [ -e "$dir/cancelled" ] && exit 143
  umask "$umask_before"
  own_session bash "$dir/script"
) </dev/null >"$dir/out.pipe" 2>"$dir/err.pipe" 3>&- &
group=$!; group_born=$(born "$group")
( own_session bash -c "$(declare -f born members stop_all group_is_ours)"'
  sleep "$1"; group=$3 group_born=$4
  group_is_ours && : >"$2/timeout" && stop_all "$3"' watchdog "$limit" "$dir" "$group" "$group_born"
) </dev/null >/dev/null 2>&1 3>&- &
watchdog=$!

wait "$group"; code=$?; took=$(($(millis) - began))
if [ ! -e "$dir/timeout" ]; then
  for ((round = 0; round < 100; round++)); do kill -KILL -- "-$watchdog" && break; sleep 0.01; done
fi
wait "$watchdog"
for ((round = 0; round < 100; round++)); do
  kill -0 "$out_collector" || kill -0 "$err_collector" || break
  sleep 0.02
done
exec 2>&3 3>&-
[ "$round" -lt 100 ] || open=1 # something that the script left behind still holds its output
tell {guest.DONE} "$code" keep
rm -f "$dir/out.pipe" "$dir/err.pipe"
exit "$code"
"""

PROBE = f"""\
#!/bin/bash
# Runbook Bot: looks what became of an attempt. Changes nothing.
id='@ID@'; out_room=@OUT_ROOM@; err_room=@ERR_ROOM@; dir=
{COMMON}
find_young() {{ # made less than a minute ago: its envelope may be about to say who runs
  local made; made=$(stat -c %Y "$dir" 2>/dev/null) || return 1
  [ $(($(now) - made)) -lt 60 ]
}}
lives() {{ whereabouts && {{ envelope_lives || group_lives; }}; }}
if ! find_folder; then reply probe {guest.ABSENT}
elif [ -e "$dir/result" ]; then tell_again
elif lives; then reply probe {guest.RUNNING}
elif [ -e "$dir/result" ]; then tell_again # it ended while we looked
elif [ ! -s "$dir/processes" ] && find_young; then reply probe {guest.RUNNING}
elif lives; then reply probe {guest.RUNNING} # it said who runs while we looked
elif [ -e "$dir/result" ]; then tell_again
else tell {guest.INTERRUPTED} -1
fi
exit 0
"""

KILL = f"""\
#!/bin/bash
# Runbook Bot: stops an attempt, or makes sure that it never starts, and says what is proven.
id='@ID@'; out_room=@OUT_ROOM@; err_room=@ERR_ROOM@; dir=; open=0; took=0
{COMMON}
make_folder
case $? in
  0) : >"$dir/cancelled"; now >"$dir/not_after"
     tell {guest.CANCELLED} 143 keep >/dev/null 2>&1; reply kill {guest.ABSENT}; exit 0 ;;
  2) reply kill {guest.NO_STATE}; exit 0 ;;
esac
[ -e "$dir/result" ] && {{ reply kill {guest.DONE}; exit 0; }}
: >"$dir/cancelled"
for ((try = 0; try < 30; try++)); do
  [ -e "$dir/result" ] && break
  if whereabouts; then
    group_is_ours && stop_all "$group"
    envelope_lives || break
  elif [ -s "$dir/processes" ]; then break # of another boot: nothing of it can run
  fi
  sleep 0.2
done
if [ -e "$dir/result" ]; then reply kill {guest.STOPPED}
elif [ ! -s "$dir/processes" ] || envelope_lives || group_lives; then reply kill {guest.ALIVE}
else reply kill {guest.STOPPED}
fi
exit 0
"""

READ = f"""\
#!/bin/bash
# Runbook Bot: reads a piece of the output that an attempt left on this machine. Changes nothing.
id='@ID@'; stream='@STREAM@'; offset=@OFFSET@; limit=@LIMIT@; room=@OUT_ROOM@; dir=
{COMMON}
find_folder || {{ reply read {guest.ABSENT}; exit 0; }}
total=$(($(size "$dir/$stream") + $(size "$dir/$stream.end")))
piece() {{ cat "$dir/$stream" "$dir/$stream.end" 2>/dev/null | tail -c +$((offset + 1)) | head -c "$1"; }}
while :; do
  data=$(piece "$limit" | pack)
  [ "${{#data}}" -le $((room - {guest.HEADER_BYTES})) ] && break
  limit=$((limit * 3 / 4))
done
facts="\\"state\\":\\"{guest.DONE}\\",\\"total\\":$total,\\"at\\":$(now),\\"gz\\":$(packed),\\"cut\\":0"
printf '\\n{guest.MARKER} %s read {{%s}} %s\\n' "$id" "$facts" "$data"
exit 0
"""
