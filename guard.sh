# What getModels.sh and getData.sh start ends with them; of several runs in a folder one works and the others wait. Sourced before download.sh.
#
#   guarded BYTES LOG COMMAND... run it; it ends when this script ends, however: Ctrl-C, SIGTERM, SIGHUP, even SIGKILL (within two seconds)
#   enter FOLDER                 wait until no other run works there
#   open_own FOLDER NAME         $own: a folder .NAME.part.XXXXXX that only we can write to; close_own ends it
#
# Nothing here follows a link that somebody planted: folders are made exclusively, and what is in them nobody else can write.

# What is closed would be opened as some file, which then gets our lines.
(: 3<&0) 2>/dev/null || exec </dev/null
(: 3>&1) 2>/dev/null || exec >/dev/null
(: 3>&2) || exec 2>/dev/null

own= job= mine= entered= stopped= guarding= number=0
host=$(uname -n | tr -c 'A-Za-z0-9\n' _) || host=unknown

stamp() { # process: tells it from a later one of the same number; nothing when it has ended, waited for (a zombie) or not
    if [ -r /proc/self/stat ]; then
        { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
        # shellcheck disable=SC2086
        set -- ${stat##*")"}
        case $1 in Z | X) ;; *) printf '%s' "${20}" ;; esac # its state, and when it was started
    elif command -v ps >/dev/null; then
        LC_ALL=C TZ=UTC ps -o stat= -o lstart= -p "$1" 2>/dev/null | sed -n '/^ *Z/d;s/^ *[^ ]* *//p' | cksum_of_words
    elif kill -0 "$1" 2>/dev/null; then
        printf 1
    fi
}

cksum_of_words() { # nothing for nothing
    if read -r words; then printf '%s' "$words" | cksum | cut -d' ' -f1; fi
}

me=$(stamp $$)

guarded() { # bytes that $own/part may have, or 0: no download; file for what it says, or nothing; command...
    most=$1 words=$2 guarding=yes
    shift 2
    (
        [ -z "$words" ] || { : >"$words"; exec >>"$words" 2>&1; } # the leash writes there too
        job=$(exec sh -c 'echo "$PPID"') # this subshell, which becomes the command
        since=$(stamp "$job")
        [ -z "$mine" ] || mkdir "$entered/.queue.$number.$job.$since.$host" 2>/dev/null # the next run waits for it too
        (leash &)
        [ "$(stamp $$)" = "$me" ] || exit 1
        [ "$most" = 0 ] || ulimit -f $((most / 512 + 2048)) 2>/dev/null # a server that sends without end is cut off
        exec "$@" </dev/null
    ) &
    job=$!
    [ -z "$stopped" ] || end_job
    wait "$job" 2>/dev/null
    ended=$?
    [ -z "$stopped" ] || wait "$job" 2>/dev/null # a signal ends the first one at once
    [ -z "$mine" ] || rmdir "$entered/.queue.$number.$job."* 2>/dev/null
    job= guarding=
    [ -z "$stopped" ] || exit "$stopped"
    return $ended
}

leash() { # ends $job when the script has ended, or when what it fetches comes too slowly
    exec </dev/null >/dev/null 2>&1
    seconds=0 before=$(size_of "$own/part")
    while sleep 1; do
        [ "$(stamp "$job")" = "$since" ] || exit 0
        [ "$(stamp $$)" = "$me" ] || break
        [ -z "$mine" ] || touch -c -- "$mine" "$entered/.queue.$number.$job.$since.$host"
        seconds=$((seconds + 1))
        [ "$most" != 0 ] && [ $seconds -ge "$stall" ] || continue
        now=$(size_of "$own/part")
        if [ $((now - before)) -lt $((stall * rate)) ]; then
            printf '\ngiven up: %s bytes in %s seconds, fewer than %s a second\n' $((now - before)) "$stall" "$rate" >>"$words"
            break
        fi
        seconds=0 before=$now
    done
    end_of "$job"
}

end_of() { # process: SIGTERM, and SIGKILL where that is not enough
    was=$(stamp "$1")
    [ -n "$was" ] || return 0
    kill "$1"
    sleep 2
    [ "$(stamp "$1")" != "$was" ] || kill -9 "$1"
}

end_job() { (exec </dev/null >/dev/null 2>&1; end_of "$job") & }

# The queue of a folder: each run, and each command it has started, is an empty folder .queue.NUMBER.PROCESS.STAMP.HOST in it. The lowest that
# lives works, the others wait. Whoever finds a higher one at once (it was quicker) takes another number, so there are never two that work.
# Of another machine we cannot see whether a process lives: it does while its folder was touched in the last ten minutes.

others() { # folder: the other runs that live, "below" or "above" us, number and name, a line each; what runs that have ended left is removed
    for ticket in "$1"/.queue.*; do
        [ "$ticket" != "$mine" ] && [ -d "$ticket" ] && [ ! -L "$ticket" ] || continue
        rest=${ticket##*/.queue.}
        its_number=${rest%%.*} rest=${rest#*.}
        its_process=${rest%%.*} rest=${rest#*.}
        its_stamp=${rest%%.*} its_host=${rest#*.}
        is_number "$its_number" && is_number "$its_process" && is_number "$its_stamp" || continue
        case $its_host in *[!A-Za-z0-9_]*) continue ;; esac
        if [ "$its_host" = "$host" ]; then
            [ "$(stamp "$its_process")" = "$its_stamp" ]
        else
            [ -z "$(find "$ticket" -prune -mmin +10 2>/dev/null)" ]
        fi || { rmdir "$ticket" 2>/dev/null; continue; }
        if [ "$its_number" -lt "$number" ]; then side=below; elif [ "$its_number" -gt "$number" ]; then side=above
        elif [ "$its_process" -lt $$ ]; then side=below; else side=above; fi
        echo "$side $its_number ${ticket##*/}"
    done
}

take_number() { # $mine, behind everybody who is there
    while :; do
        number=$(others "$entered" | sort -k 2n | tail -n 1 | cut -d' ' -f2)
        number=$((${number:-0} + 1))
        mine=$entered/.queue.$number.$$.$me.$host
        mkdir -m 755 -- "$mine" 2>/dev/null || { mine=; fail "the folder $entered cannot be written; choose another one"; exit 2; }
        others "$entered" | grep -q '^above' || return 0
        rmdir "$mine"
    done
}

enter() { # folder
    [ "$entered" != "$1" ] || return 0
    mkdir -p -- "$1" 2>/dev/null && [ -w "$1" ] || { fail "the folder $1 cannot be written; choose another one"; exit 2; }
    entered=$1
    take_number
    told=
    while first=$(others "$1" | grep '^below'); [ -n "$first" ]; do
        [ -n "$told" ] || say "another run works in $1: waiting for it (if there is none, remove $1/${first##* })"
        told=yes
        touch -c -- "$mine"
        sleep 1
    done
}

each_left() { # folder, name, command: the command for each folder of ours that a run which was killed left
    for left in "$1/.$2.part."??????; do
        if [ "$left" != "$own" ] && [ -d "$left" ] && [ ! -L "$left" ] && [ -O "$left" ]; then "$3" "$left"; fi
    done
}

discard() { rm -rf -- "$1/part" "$1/log" "$1/unpacked" && rmdir -- "$1"; } 2>/dev/null

adopt() { # folder that was left: the longest beginning of a file is taken over
    if [ ! -L "$1/part" ] && [ "$(size_of "$1/part")" -gt "$(size_of "$own/part")" ]; then mv -f -- "$1/part" "$own/part" 2>/dev/null; fi
    discard "$1"
}

open_own() { # folder, name
    own=$(mktemp -d "$1/.$2.part.XXXXXX") || { own=; fail "the folder $1 cannot be written; choose another one"; exit 2; }
    each_left "$1" "$2" adopt
}

close_own() { # the beginning of a file is kept for the next run
    [ -n "$own" ] || return 0
    if [ -s "$own/part" ]; then rm -rf -- "$own/log" "$own/unpacked"; else discard "$own"; fi
    own=
}

clear_one() { enter "${1%/*}" && discard "$1"; }

clear_left() { # folder, name: for one that is there, whole
    [ -w "$1" ] || return 0
    each_left "$1" "$2" clear_one
    others "$1" >/dev/null
}

stop() { # status
    stopped=$1
    [ -n "$guarding" ] || exit "$1"
    [ -z "$job" ] || end_job
}

finish() {
    trap '' INT TERM HUP
    close_own
    [ -z "$mine" ] || rmdir -- "$mine" 2>/dev/null
    [ -n "$stopped" ] || return 0
    fail "stopped; run it again to continue"
    exit "$stopped"
}

trap finish EXIT
trap 'stop 130' INT
trap 'stop 143' TERM HUP
