#!/bin/sh
# Fetch OpenPose's weights and convert them for the scripts here.
#
#   ./getModels.sh            body, face and hand: models/coco_posenet.npz, facenet.npz, handnet.npz
#   ./getModels.sh --body     one of them (--face, --hand)
#   ./getModels.sh --vgg      VGG-19's layers, for training: models/vgg19.npz
#   ./getModels.sh --light    human-pose-estimation-0001 of the Open Model Zoo, for OpenVINO
#   --download_only           do not convert
#   --folder FOLDER           where the files go (models)
#
# A download that broke off continues where it ended. Needs curl or wget, and sha256sum or shasum; for converting, `make venv`.

set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/guard.sh"
. "$here/download.sh"

sets= convert=yes folder=$here/models table=${MODELS_TABLE:-$here/models/downloads.txt}
while [ $# -gt 0 ]; do
    case $1 in
        --body | --face | --hand | --vgg | --light) sets="$sets ${1#--}" ;;
        --download_only) convert=no ;;
        --folder) [ $# -gt 1 ] || { fail "--folder needs the name of a folder"; exit 2; }; folder=$2; shift ;;
        -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "unknown option $1 (--help lists the options)"; exit 2 ;;
    esac
    shift
done
[ -n "$sets" ] || sets="body face hand"
case $folder in -*) folder=./$folder ;; esac
need_tools
# shellcheck disable=SC2086  (the sets are words)
check_table "$table" $sets

python=${PYTHON:-}
if [ $convert = yes ] && [ -z "$python" ]; then
    for python in "$here/.venv/bin/python" python3; do command -v "$python" >/dev/null && break; done
fi

if [ $convert = yes ] && ! "$python" -c 'import numpy, tqdm' 2>/dev/null; then
    fail "$python cannot convert (NumPy and tqdm are missing); run: make venv, or add --download_only"
    exit 2
fi

convert() { # arch, source, target
    [ $convert = yes ] || return 0
    guarded 0 "" "$python" "$here/convert_model.py" "$1" "$folder/$2.caffemodel" "$folder/$3"
}

status=0
for set in $sets; do
    download "$table" "$set" "$folder" || { status=1; continue; }
    case $set in
        body) convert posenet pose_iter_440000 coco_posenet.npz ;;
        face) convert facenet pose_iter_116000 facenet.npz ;;
        hand) convert handnet pose_iter_102000 handnet.npz ;;
        vgg) convert vgg19 VGG_ILSVRC_19_layers vgg19.npz ;;
    esac || status=1
done
case $sets in
    *body* | *face* | *hand*) say "Licence: OpenPose's weights are its authors' (Carnegie Mellon University), for non-commercial use only." ;;
esac
case $sets in *vgg*) say "Licence: VGG-19's weights are by the Visual Geometry Group, University of Oxford, under a Creative Commons Attribution licence." ;; esac
case $sets in *light*) say "Licence: human-pose-estimation-0001 is by Intel, under Apache-2.0." ;; esac
exit $status
