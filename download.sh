# Download files of a table, with resuming, checksums and mirrors. Sourced by getModels.sh and getData.sh, with guard.sh.
#
#   check_table TABLE SETS       one line and status 2 unless the table has these sets in good order
#   download TABLE SET FOLDER    every file of the set that is not there yet; status 1 if one cannot be had
#
# A line of the table: set, file, bytes, checksum's bits (SHA-256, 384 or 512; 0 for none), checksum (with 0 bits a number), mirrors.
# A file appears under its name only when size and checksum are right; until then its beginning waits in a folder .FILE.part.XXXXXX,
# which nobody else can write to, and is taken up again by the next run.
# DOWNLOAD_STALL, DOWNLOAD_RATE: a mirror that sends fewer bytes a second than DOWNLOAD_RATE (1000), DOWNLOAD_STALL seconds (30) long,
# is given up for the next one.

say() { printf '%s\n' "$*" || :; } 2>/dev/null # the work goes on where nobody reads, or the disk of a log is full
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

stall=${DOWNLOAD_STALL:-30} rate=${DOWNLOAD_RATE:-1000}

need_tools() {
    command -v curl >/dev/null || command -v wget >/dev/null || { fail "curl or wget is needed; install one of them (apt install curl)"; exit 2; }
    command -v sha256sum >/dev/null || command -v shasum >/dev/null || { fail "sha256sum or shasum is needed; install one of them (apt install coreutils)"; exit 2; }
    is_number "$stall" || { fail "DOWNLOAD_STALL: expected seconds, a whole number from 1 on, got $stall"; exit 2; }
    is_number "$rate" || { fail "DOWNLOAD_RATE: expected bytes a second, a whole number from 1 on, got $rate"; exit 2; }
}

is_number() { # text: a whole number from 1 on, which the shell can calculate with
    case $1 in '' | 0* | *[!0-9]* | ???????????????????*) return 1 ;; esac
}

size_of() { # file: its bytes, 0 when it is not there
    if [ -f "$1" ]; then wc -c <"$1" | tr -d ' '; else echo 0; fi
}

checksum() { # bits, file
    if command -v "sha$1sum" >/dev/null; then "sha$1sum" "$2"; else shasum -a "$1" "$2"; fi | cut -d' ' -f1
}

is_right() { # file, bytes, bits, checksum
    [ -f "$1" ] && [ "$(size_of "$1")" = "$2" ] && { [ "$3" = 0 ] || [ "$(checksum "$3" "$1")" = "$4" ]; }
}

expected() { # a line's fields after its set: what a field that is wrong should be; nothing when all are right
    case ${1:-} in '' | [!A-Za-z0-9]* | *[!A-Za-z0-9._-]*) echo "a file's name of letters, digits, dots and dashes in the second place"; return ;; esac
    is_number "${2:-}" || { echo "a number of bytes in the third place"; return; }
    case ${3:-} in 0 | 256 | 384 | 512) ;; *) echo "0, 256, 384 or 512 bits in the fourth place"; return ;; esac
    if [ "$3" = 0 ]; then
        is_number "${4:-}" || { echo "a number in the fifth place"; return; }
    else
        case ${4:-} in *[!0-9a-f]*) sum= ;; *) sum=${4:-} ;; esac
        [ ${#sum} = $(($3 / 4)) ] || { echo "a checksum of $(($3 / 4)) digits (0-9, a-f) in the fifth place"; return; }
    fi
    [ $# -gt 4 ] || { echo "a mirror in the sixth place"; return; }
    shift 4
    for url in "$@"; do
        case $url in *[![:graph:]]*) ;; http://[!/]* | https://[!/]*) continue ;; esac
        echo "mirrors that begin with http:// or https:// from the sixth place on"
        return
    done
}

check_table() { # table, sets...
    table=$1
    shift
    [ -f "$table" ] && [ -r "$table" ] || { fail "the table $table cannot be read; take the project's own"; exit 2; }
    for wanted in "$@"; do
        line=0 found=no
        while read -r row fields || [ -n "$row" ]; do
            line=$((line + 1))
            [ "$row" = "$wanted" ] || continue
            # shellcheck disable=SC2086  (the fields are words)
            wrong=$(set -f; expected ${fields%"$return"})
            [ -z "$wrong" ] || { fail "the table $table, line $line ($wanted): expected $wrong; mend it, or take the project's own"; exit 2; }
            found=yes
        done <"$table"
        [ $found = yes ] || { fail "the table $table has no line for $wanted; take the project's own"; exit 2; }
    done
}
return=$(printf '\r') # at the ends of lines that were written on Windows

transfer() { # url, bytes: continue $own/part where it ends; status 0 when the server says that it sent everything
    if command -v curl >/dev/null; then
        guarded "$2" "$own/log" curl --fail --location --silent --show-error --globoff --no-buffer --connect-timeout "$stall" \
            --continue-at "$(size_of "$own/part")" --output "$own/part" --url "$1"
    elif wget --help 2>&1 | grep -q -e --connect-timeout; then # a server has several addresses: no one may use up the time of all
        guarded "$2" "$own/log" wget --progress=dot:giga --server-response --continue --tries=1 --timeout="$stall" \
            --connect-timeout=$(((stall + 2) / 3)) --output-document="$own/part" -- "$1"
    else # BusyBox's
        guarded "$2" "$own/log" wget -S -c -T "$stall" -O "$own/part" -- "$1"
    fi
}

last_words() { # of the log, without what would move a terminal's cursor
    sed '/^[[:space:]]*$/d' "$own/log" | tail -n 1 | tr -d '\000-\037\177' | cut -c 1-300
}

no_ranges() { # why the transfer failed: can the server not continue a file? wget then reads its beginning again, without a word, or a byte of growth
    case $1 in *"byte ranges"* | *"resume"* | *" 416"* | *"(33)"*) return 0 ;; esac
    [ "$(sed -n 's,^ *HTTP/[0-9.]* \([0-9]*\).*,\1,p' "$own/log" | tail -n 1)" = 200 ]
}

from_mirror() { # url, bytes, bits, checksum; says why not; $stuck: no mirror can do better
    begun=$(size_of "$own/part") reason=
    if [ "$begun" -lt "$2" ] && ! transfer "$1" "$2"; then reason=$(last_words) reason=${reason:-failed}; fi
    is_right "$own/part" "$2" "$3" "$4" && return 0
    got=$(size_of "$own/part")
    if [ "$got" -ge "$2" ] || [ "$got" = 0 ] || { [ "$begun" -gt 0 ] && [ "$got" = "$begun" ] && no_ranges "$reason"; }; then
        rm -rf -- "$own/part"
        if [ -e "$own/part" ]; then
            fail "$own/part: cannot be removed; remove it by hand and run this again"
            stuck=yes
            return 1
        fi
        if [ "$begun" -gt 0 ]; then # the beginning may have been another mirror's fault
            from_mirror "$@"
            return
        fi
        [ "$got" -lt "$2" ] && [ -n "$reason" ] || reason="wrong size or checksum ($got bytes, expected $2)"
    fi
    say "  $1: ${reason:-ended after $got of $2 bytes}"
    return 1
}

from_mirrors() { # folder, file, bytes, bits, checksum, mirrors...
    home_of=$1 name_of=$2 bytes_of=$3 bits_of=$4 sum_of=$5 stuck=
    shift 5
    say "$name_of: $bytes_of bytes"
    for url in "$@"; do
        if from_mirror "$url" "$bytes_of" "$bits_of" "$sum_of"; then
            mv -f -- "$own/part" "$home_of/$name_of" && say "$name_of: from $url"
            return
        elif [ -n "$stuck" ]; then
            return 1
        fi
    done
    fail "$name_of: no mirror served it; run this again to continue, or put the file into $home_of by hand"
    return 1
}

download_file() { # folder, file, bytes, bits, checksum, mirrors...
    if [ -d "$1/$2" ]; then fail "$1/$2: expected a file's place, got a folder; move it away"; return 1; fi
    is_right "$1/$2" "$3" "$4" "$5" || enter "$1" # another run may be fetching it just now
    if is_right "$1/$2" "$3" "$4" "$5"; then say "$2: is there"; clear_left "$1" "$2"; return 0; fi
    open_own "$1" "$2"
    from_mirrors "$@" && fetched=0 || fetched=1
    close_own
    return $fetched
}

first_row() { # table, set: the fields after the set
    while read -r row fields || [ -n "$row" ]; do
        [ "$row" != "$2" ] || { printf '%s\n' "${fields%"$return"}"; return; }
    done <"$1"
}

download() { # table, set, folder
    rows_table=$1 rows_set=$2 target=$3 got_all=0
    while read -r row fields || [ -n "$row" ]; do
        [ "$row" = "$rows_set" ] || continue
        set -f # the fields are words, no patterns
        # shellcheck disable=SC2086
        set -- ${fields%"$return"}
        set +f
        download_file "$target" "$@" </dev/null || got_all=1
    done <"$rows_table"
    return $got_all
}
