#!/bin/sh
# Nothing that says who a patient is comes out of any command: not in what is printed, not in what is
# written, compressed or not. The files of tests/canary carry a name, a date and an identifier in every
# place that has room for one. Usage: canary.sh WILLIS
set -eu
willis=$1
person='CANARY|18870314|99887766554433'
from=$(cd "$(dirname "$0")/../canary" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
mkdir in out
cp -R "$from/." in/
rm -f in/make.py
cp -R in/slices in/patients-1
mkdir in/patients
mv in/patients-1 in/patients/a
cp in/volume.nii in/patients/b.nii
cp in/volume.nrrd in/patients/c.nrrd
grep -rlE "$person" in >/dev/null || {
  echo "the files say nothing about anybody"
  exit 1
}

runs=0
# Commands that must work, and what they say.
does() {
  runs=$((runs + 1))
  "$willis" "$@" >>printed 2>&1 || {
    echo "willis $*: failed"
    tail -n 3 printed
    exit 1
  }
}
# Commands that need not: refusals talk too.
tries() {
  runs=$((runs + 1))
  "$willis" "$@" >>printed 2>&1 || [ $? -lt 3 ]
}

for file in in/*.dcm in/slices in/volume.* in/stack.nii in/shape.* in/tree.swc; do
  does info "$file"
  does info --json "$file"
done
does prepare in/run-0.dcm in/run-90.dcm -o out/prepared.nii.gz
does info --json out/prepared.nii.gz
does hull out/prepared.nii.gz --size 16 -o out/hull.nii.gz
for volume in slices volume.nii volume.nrrd; do
  does resample in/$volume --size 16 -o out/resampled-$volume.nii
  does segment in/$volume -o out/mask-$volume.nrrd
  does project in/$volume --views 2 -o out/projected-$volume.nii
  does mesh in/$volume --level 100 -o out/mesh-$volume.ply
  does mesh in/$volume --level 100 -o out/mesh-$volume.obj
  does render in/$volume -o out/figure-$volume.png
  does centerline out/mask-$volume.nrrd -o out/lines-$volume.swc
done
does backproject in/stack.nii --size 8 -o out/back.nii
does solve in/stack.nii --method sirt --iterations 2 --size 8 -o out/solved.nii.gz
does evaluate out/mask-slices.nrrd out/mask-slices.nrrd --json
for shape in shape.obj shape.stl shape.ply tree.swc; do
  does voxelize in/$shape --size 16 -o out/voxels-$shape.nrrd
done
does train --data in/patients --views 2 --size 16 --epochs 1 --test-last 1 --log out/log.csv -o out/model.safetensors
does info --json out/model.safetensors
does reconstruct out/projected-slices.nii -m out/model.safetensors --size 16 -o out/probability.nii --mesh out/found.stl
# Cut and spoilt files: whatever a refusal names, it is not a value.
for size in 140 400 700 1000 1300 1600 1900; do
  head -c $size in/run-0.dcm >cut.dcm
  tries info cut.dcm
  head -c $size in/slices/3.dcm >cut.dcm
  tries segment cut.dcm -o out/cut.nii
  head -c $size in/volume.nii >cut.nii
  tries info cut.nii
done
for spoilt in s/MONOCHROME2/SPOILTCHROM/ s/STATIC/SPOILT/ s/LIN/SPO/ s/0.5.0.5/SPOILT./; do
  LC_ALL=C sed "$spoilt" in/run-0.dcm >spoilt.dcm
  tries info spoilt.dcm
  tries prepare spoilt.dcm in/run-90.dcm -o out/spoilt.nii --force
done

bad=0
find out -type f | while read -r file; do
  case $file in
  *.gz) gzip -cd "$file" ;;
  *.nrrd) # the voxels behind the header are gzip
    cat "$file"
    tail -c +$(($(LC_ALL=C grep -abm1 '^$' "$file" | cut -d: -f1) + 2)) "$file" | gzip -cd 2>/dev/null || true
    ;;
  *) cat "$file" ;;
  esac >whole
  LC_ALL=C grep -aqE "$person" whole && echo "$file"
done >found || true
if LC_ALL=C grep -anE -m5 "$person" printed; then bad=1; fi
[ ! -s found ] || {
  cat found
  bad=1
}
[ "$(find out -type f | wc -l)" -gt 25 ] || bad=1
echo "$runs runs, $(find out -type f | wc -l) files written, $(wc -c <printed) bytes printed"
[ $bad = 0 ]
