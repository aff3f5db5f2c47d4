#!/bin/sh
# Fetch COCO 2017, for training and evaluation, and unpack it.
#
#   ./getData.sh              train2017, val2017 and annotations: 20.4 GB to fetch, 41 GB of disk meanwhile, 21 GB in the end
#   ./getData.sh --val        the small part: val2017 and annotations, 1.1 GB to fetch
#   --coco_dir FOLDER         where it goes (coco)
#   --keep                    keep the zips
#
# A download that broke off continues where it ended; a folder appears when everything in it is there. What is there is not fetched again.
# Needs curl or wget, and Python 3.

set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/guard.sh"
. "$here/download.sh"

sets="annotations val train" keep=no folder=coco table=${COCO_TABLE:-$here/data/coco.txt}
while [ $# -gt 0 ]; do
    case $1 in
        --val) sets="annotations val" ;;
        --keep) keep=yes ;;
        --coco_dir) [ $# -gt 1 ] || { fail "--coco_dir needs the name of a folder"; exit 2; }; folder=$2; shift ;;
        -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "unknown option $1 (--help lists the options)"; exit 2 ;;
    esac
    shift
done
case $folder in -*) folder=./$folder ;; esac
need_tools
# shellcheck disable=SC2086  (the sets are words)
check_table "$table" $sets

python=${PYTHON:-}
if [ -z "$python" ]; then
    for python in "$here/.venv/bin/python" python3; do command -v "$python" >/dev/null && break; done
fi
"$python" -c 'import zipfile, zlib' 2>/dev/null || { fail "$python cannot unpack; install Python 3, or name one: PYTHON=/path/to/python3 ./getData.sh"; exit 2; }

count_files() { # folder
    find "$1" -type f | wc -l | tr -d ' '
}

add_size() { got=$((got + $(size_of "$1/part"))); }

has_space() { # zip, its bytes; as much again is needed to unpack it
    got=$(size_of "$1")
    each_left "${1%/*}" "${1##*/}" add_size
    free=$(df -Pk "$folder" 2>/dev/null | sed -n '2s/.* \([0-9][0-9]*\)  *[0-9]*% .*/\1/p')
    needed=$(((2 * $2 - got) / 1024))
    [ -z "$free" ] || [ "$free" -ge "$needed" ] || { fail "$folder: $((needed / 1024)) MiB are needed there, $((free / 1024)) MiB are free; choose another folder with --coco_dir"; return 1; }
}

unpack() { # zip, folder in it, number of files; into $own
    say "$2: unpacking"
    if ! guarded 0 "$own/log" "$python" -m zipfile -e "$1" "$own/unpacked"; then
        why=$(last_words) cure="run this again"
        case $why in *BadZipFile* | *zlib.error* | *EOFError*) rm -f -- "$1"; cure="it is removed, $cure" ;; esac
        fail "$1: cannot be unpacked (${why:-Python was killed}); $cure"
        return 1
    fi
    if [ ! -d "$own/unpacked/$2" ] || [ "$(count_files "$own/unpacked/$2")" -lt "$3" ]; then
        rm -f -- "$1"
        fail "$1: expected the folder $2 with $3 files in it, got something else; it is removed, run this again"
        return 1
    fi
    guarded 0 "$own/log" sync # on the disk before it has its name
    mv -- "$own/unpacked/$2" "$folder/$2" || return 1
    [ $keep = yes ] || rm -f -- "$1"
    say "$2: is there"
}

is_there() { # folder in the zip, number of files; status 1: nothing is there, 2: something else is
    [ -e "$folder/$1" ] || return 1
    [ -d "$folder/$1" ] && there=$(count_files "$folder/$1/") || there=0
    if [ "$there" -ge "$2" ]; then say "$1: is there"; return 0; fi
    fail "$folder/$1: expected $2 files in it, found $there; move it away and run this again"
    return 2
}

fetch() { # set
    first=$(first_row "$table" "$1") set_name=$1
    # shellcheck disable=SC2086  (the fields are words, no patterns)
    { set -f; set -- $first; set +f; }
    case $set_name in annotations) name=annotations ;; *) name=${1%.zip} ;; esac
    [ -e "$folder/$name" ] || enter "$folder" # another run may be at it just now
    is_there "$name" "$4"
    case $? in
        0) clear_left "$folder" "$1"; clear_left "$folder" "$name"; return 0 ;;
        2) return 1 ;;
    esac
    zip=$folder/$1 count=$4
    has_space "$zip" "$2" && download "$table" "$set_name" "$folder" || return 1
    open_own "$folder" "$name"
    unpack "$zip" "$name" "$count" && unpacked=0 || unpacked=1
    close_own
    return $unpacked
}

status=0
for set in $sets; do fetch "$set" || status=1; done
say "Licence: COCO's annotations are under CC BY 4.0 (COCO Consortium); the pictures are their owners', under the licences of Flickr."
exit $status
