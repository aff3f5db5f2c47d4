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

python=${PYTHON:-}
if [ -z "$python" ]; then
    for python in "$here/.venv/bin/python" python3; do command -v "$python" >/dev/null && break; done
fi
"$python" -c 'import zipfile, zlib' 2>/dev/null || { fail "$python cannot unpack; install Python 3, or name one: PYTHON=/path/to/python3 ./getData.sh"; exit 2; }

part=
trap '[ -z "$part" ] || rm -rf "$part"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

count_files() { # folder
    find "$1" -type f | wc -l | tr -d ' '
}

has_space() { # zip, its bytes; as much again is needed to unpack it
    begun=${1%/*}/.${1##*/}.part got=0
    if [ -f "$begun" ]; then got=$(size_of "$begun"); elif [ -f "$1" ]; then got=$(size_of "$1"); fi
    free=$(df -Pk "$folder" 2>/dev/null | sed -n '2s/.* \([0-9][0-9]*\)  *[0-9]*% .*/\1/p')
    needed=$(((2 * $2 - got) / 1024))
    [ -z "$free" ] || [ "$free" -ge "$needed" ] || { fail "$folder: $((needed / 1024)) MiB are needed there, $((free / 1024)) MiB are free; choose another folder with --coco_dir"; return 1; }
}

unpack() { # zip, folder in it, number of files
    part=$folder/.$2.unpacked.part
    rm -rf "$part"
    say "$2: unpacking"
    if ! reason=$("$python" -m zipfile -e "$1" "$part" 2>&1); then
        rm -rf "$part"
        why=$(printf '%s' "$reason" | tail -n 1) cure="run this again"
        case $why in *BadZipFile* | *zlib.error* | *EOFError*) rm -f "$1"; cure="it is removed, $cure" ;; esac
        fail "$1: cannot be unpacked (${why:-Python was killed}); $cure"
        return 1
    fi
    if [ ! -d "$part/$2" ] || [ "$(count_files "$part/$2")" -lt "$3" ]; then
        rm -rf "$part" "$1"
        fail "$1: expected the folder $2 with $3 files in it, got something else; it is removed, run this again"
        return 1
    fi
    mv "$part/$2" "$folder/$2" || return 1
    rm -rf "$part"
    part=
    [ $keep = yes ] || rm -f "$1"
    say "$2: is there"
}

fetch() { # set
    line=$(grep "^$1 " "$table" 2>/dev/null) || { fail "the table $table has no line for $1; take the project's own (data/coco.txt)"; exit 2; }
    # shellcheck disable=SC2086  (the fields are words)
    set -- $line
    case $1 in annotations) name=annotations ;; *) name=${2%.zip} ;; esac
    if [ -e "$folder/$name" ]; then
        [ -d "$folder/$name" ] && there=$(count_files "$folder/$name/") || there=0
        if [ "$there" -ge "$5" ]; then say "$name: is there"; return 0; fi
        fail "$folder/$name: expected $5 files in it, found $there; move it away and run this again"
        return 1
    fi
    set_name=$1 zip=$folder/$2 bytes=$3 count=$5
    mkdir -p -- "$folder" 2>/dev/null && [ -w "$folder" ] || { fail "the folder $folder cannot be written; choose another one"; exit 2; }
    has_space "$zip" "$bytes" || return 1
    download "$table" "$set_name" "$folder" && unpack "$zip" "$name" "$count"
}

status=0
for set in $sets; do fetch "$set" || status=1; done
say "Licence: COCO's annotations are under CC BY 4.0 (COCO Consortium); the pictures are their owners', under the licences of Flickr."
exit $status
