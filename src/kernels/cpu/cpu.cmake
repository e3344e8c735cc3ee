# Each kernel file is compiled once for each instruction-set level, always with -O2 and without
# sanitizers' runtime hooks that would add weak symbols; tests/kernels/nm_test.sh checks the objects.
