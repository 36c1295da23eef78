# For hands that type make; the build itself is CMake's. The command is left at build/willis.
.PHONY: all test bench sbom install clean
PREFIX ?= /usr/local

all: build/build.ninja
	@cmake --build --preset dev

build/build.ninja:
	@cmake --preset dev

test: all
	@ctest --preset dev

bench: all
	@cmake --build --preset dev --target bench

sbom: all
	@tools/sbom build/libwillis.so build/willis >build/sbom.cdx.json
	@echo build/sbom.cdx.json

install: all
	@cmake --install build --prefix $(PREFIX)

clean:
	@rm -rf build
