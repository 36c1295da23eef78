# For hands that type make; the build itself is CMake's. The command is left at build/willis.
.PHONY: all test bench sbom install clean
PREFIX ?= /usr/local
# Of make bench: quick (some minutes) or long (about an hour), and runs of each.
FORM ?= quick
PAIRS ?= 5

all: build/build.ninja
	@cmake --build --preset dev

build/build.ninja:
	@cmake --preset dev

test: all
	@ctest --preset dev

bench: all
	@cmake --preset dev -DWILLIS_BENCH_FORM=$(FORM) -DWILLIS_BENCH_PAIRS=$(PAIRS) >/dev/null
	@cmake --build --preset dev --target bench

sbom: all
	@tools/sbom build/libwillis.so build/willis >build/sbom.cdx.json
	@echo build/sbom.cdx.json

install: all
	@cmake --install build --prefix $(PREFIX)

clean:
	@rm -rf build
