#!/bin/sh
# From phantom to mesh with 1, 2, 3, 4 and 8 threads, and under a locale whose decimal point is a
# comma: the same bytes in every file and on stdout, by sha256.
# Usage: chain.sh WILLIS [THREADS…]
set -eu
willis=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
[ $# -gt 0 ] || set -- 2 3 4 8
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export OMP_WAIT_POLICY=PASSIVE

# Everything into the folder $1 with $2 threads; a list of sums into $1.sums.
chain() {
  mkdir "$scratch/$1"
  (
    cd "$scratch/$1"
    w() {
      command=$1
      shift
      "$willis" "$command" "$@" -t "$threads" >>said 2>warned || {
        cat warned
        echo "chain: $command failed" >&2
        exit 1
      }
    }
    threads=$2
    mkdir patients
    for i in 1 2 3; do w phantom -o patients/p$i.swc --seed $i; done
    w voxelize patients/p1.swc -o v.nii.gz --size 24 --noise 5 --seed 9
    w project v.nii.gz -o s.nii.gz --views 5
    w project v.nii.gz -o sums.nii.gz --views 5 --mode sum
    w backproject s.nii.gz -o b.nii.gz
    w hull s.nii.gz -o h.nrrd
    w solve sums.nii.gz -o t.nii.gz --method tv --iterations 3
    w train --data patients --views 5 --size 24 --epochs 3 --max-steps 3 --validate 1 \
      --validate-every 1 --output-bias -1 --lr 0.01 --data-name phantoms -o m.safetensors
    : >said
    w reconstruct s.nii.gz -m m.safetensors -o p.nii.gz
    w segment v.nii.gz -o mask.nii.gz --json
    w evaluate p.nii.gz mask.nii.gz --json
    w mesh v.nii.gz -o mesh.stl --level 300.5 --smooth 3 --simplify 0.5
    w mesh v.nii.gz -o mesh.obj --level 300.5
    w centerline mask.nii.gz -o lines.swc
    w render v.nii.gz -o figure.png
    w info v.nii.gz s.nii.gz lines.swc mesh.stl m.safetensors
    # Checkpoints hold times; reconstruct says how much memory, which threads change.
    rm warned *.ckpt
    find . -type f | LC_ALL=C sort | xargs sha256sum
  ) >"$scratch/$1.sums"
}

chain one 1
for threads; do
  chain "$threads" "$threads"
  diff "$scratch/one.sums" "$scratch/$threads.sums" || {
    echo "chain: $threads threads give other bytes than one"
    exit 1
  }
done
echo "$(wc -l <"$scratch/one.sums") files, the same bytes with 1 $* threads"

if localedef -i de_DE -f UTF-8 "$scratch/de_DE.UTF-8" 2>"$scratch/why" ||
  [ -e "$scratch/de_DE.UTF-8/LC_NUMERIC" ]; then
  LOCPATH=$scratch LC_ALL=de_DE.UTF-8
  export LOCPATH LC_ALL
  [ "$(locale decimal_point)" = , ] || {
    echo "chain: the generated locale has no decimal comma"
    exit 1
  }
  chain comma 2
  diff "$scratch/one.sums" "$scratch/comma.sums" || {
    echo "chain: other bytes under a locale with a decimal comma"
    exit 1
  }
  echo "the same bytes under de_DE.UTF-8"
else
  echo "SKIPPED: a locale with a decimal comma: $(head -1 "$scratch/why")"
fi
