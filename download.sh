# Download files of a table, with resuming, checksums and mirrors. Sourced by getModels.sh and getData.sh.
#
#   download TABLE SET FOLDER    every file of the set that is not there yet; status 1 if one cannot be had
#
# A line of the table: set, file, bytes, checksum's bits (SHA-256 or SHA-384; 0 for none), checksum, mirrors. A file appears under its name
# only when size and checksum are right; until then its beginning waits as .FILE.part and is taken up again by the next run.
# DOWNLOAD_STALL: seconds without data after which a mirror is given up (30).

say() { printf '%s\n' "$*"; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

need_tools() {
    command -v curl >/dev/null || command -v wget >/dev/null || { fail "curl or wget is needed; install one of them (apt install curl)"; exit 2; }
    command -v sha256sum >/dev/null || command -v shasum >/dev/null || { fail "sha256sum or shasum is needed; install one of them (apt install coreutils)"; exit 2; }
}

size_of() { wc -c <"$1" | tr -d ' '; }

checksum() { # bits, file
    if command -v "sha$1sum" >/dev/null; then "sha$1sum" "$2"; else shasum -a "$1" "$2"; fi | cut -d' ' -f1
}

is_right() { # file, bytes, bits, checksum
    [ -f "$1" ] && [ "$(size_of "$1")" = "$2" ] && { [ "$3" = 0 ] || [ "$(checksum "$3" "$1")" = "$4" ]; }
}

# Continue the file where it ends; status 0 when the server says that it sent everything. A server that sends without end is cut off.
transfer() { # url, file, bytes
    (
        ulimit -f $(($3 / 512 + 2048)) 2>/dev/null
        if command -v curl >/dev/null; then
            begin=0; [ -f "$2" ] && begin=$(size_of "$2")
            curl --fail --location --silent --show-error --connect-timeout "${DOWNLOAD_STALL:-30}" \
                --speed-limit 1000 --speed-time "${DOWNLOAD_STALL:-30}" --continue-at "$begin" --output "$2" "$1" 2>&1
        else
            wget --quiet --continue --tries=1 --timeout="${DOWNLOAD_STALL:-30}" --output-document="$2" "$1" 2>&1
        fi
    )
}

from_mirror() { # url, part, bytes, bits, checksum; says why not
    resumed=no
    if [ -s "$2" ]; then resumed=yes; fi
    if [ "$resumed" = yes ] && [ "$(size_of "$2")" -ge "$3" ]; then reason=; else reason=$(transfer "$1" "$2" "$3" | tail -n 1); fi
    is_right "$2" "$3" "$4" "$5" && return 0
    got=0; [ -f "$2" ] && got=$(size_of "$2")
    if [ "$got" -lt "$3" ] && [ "$got" -gt 0 ] && [ -z "$reason" ]; then
        say "  $1: ended after $got of $3 bytes"
        return 1
    fi
    if [ "$got" -ge "$3" ] || [ -z "$reason" ]; then
        rm -f "$2"
        if [ "$resumed" = yes ]; then # the beginning may have been another mirror's fault
            from_mirror "$1" "$2" "$3" "$4" "$5"
            return
        fi
        reason="wrong size or checksum ($got bytes, expected $3)"
    elif [ "$resumed" = yes ] && [ "$got" -gt 0 ] && no_ranges "$reason"; then
        rm -f "$2"
        from_mirror "$1" "$2" "$3" "$4" "$5"
        return
    fi
    say "  $1: $reason"
    return 1
}

no_ranges() { case $1 in *"byte ranges"* | *"resume"* | *" 416"* | *"(33)"*) return 0 ;; *) return 1 ;; esac; }

download_file() { # folder, file, bytes, bits, checksum, mirrors...
    file=$1/$2 part=$1/.$2.part
    if [ -d "$file" ] || [ -d "$part" ]; then fail "$file: expected a file's place, got a folder; move it away"; return 1; fi
    if is_right "$file" "$3" "$4" "$5"; then say "$2: is there"; return 0; fi
    bytes=$3 bits=$4 sum=$5 name=$2
    shift 5
    say "$name: $bytes bytes"
    for url in "$@"; do
        if from_mirror "$url" "$part" "$bytes" "$bits" "$sum"; then
            mv -f "$part" "$file" && say "$name: from $url"
            return
        fi
    done
    fail "$name: no mirror served it; run this again to continue, or put the file into ${file%/*} by hand"
    return 1
}

download() { # table, set, folder
    mkdir -p -- "$3" 2>/dev/null && [ -w "$3" ] || { fail "the folder $3 cannot be written; choose another one"; exit 2; }
    [ -f "$1" ] && grep -q "^$2 " "$1" || { fail "the table $1 has no line for $2; take the project's own (models/downloads.txt)"; exit 2; }
    grep "^$2 " "$1" | {
        status=0
        while read -r _ name bytes bits sum mirrors; do
            # shellcheck disable=SC2086  (the mirrors are words)
            download_file "$3" "$name" "$bytes" "$bits" "$sum" $mirrors </dev/null || status=1
        done
        return $status
    }
}
