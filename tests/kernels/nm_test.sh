#!/bin/sh
# Fails if an object of an instruction-set level defines a weak symbol: the linker could then use
# that level's code on a CPU that can't run it. Arguments: nm, then the objects.
set -eu
nm=$1
shift
[ $# -gt 0 ] || { echo "no objects given"; exit 1; }
bad=0
for object; do
  if "$nm" "$object" | grep -E ' [WwVvu] '; then
    echo "weak symbols in $object"
    bad=1
  fi
done
exit $bad
