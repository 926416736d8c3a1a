#!/usr/bin/env bash
# The conformance suite's core under the kernel of Debian 12 (6.1), emulated:
# scripts/kernel-test.sh [FILTER...]
#
# What the native driver takes from newer kernels, such as the flags of its ring, it must do without
# on the kernel that most servers run. Needs qemu-system-x86, busybox-static and cpio, and downloads
# the package of the kernel once, to target/kernel. Emulation takes a while, so this belongs to the
# soak, not to CI.
#
#   FILTER   names of tests, as of `cargo test --test server`; the core without it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly DIRECTORY=target/kernel
readonly CORE=(
    conformance::uring::echo conformance::uring::bulk conformance::uring::hostile
    conformance::uring::last_words conformance::uring::threads conformance::uring::drain
    conformance::epoll::echo
)

main() {
    case "${1:-}" in -*) usage ;; esac
    require qemu-system-x86_64 busybox cpio dpkg-deb
    mkdir -p "$DIRECTORY"
    local kernel
    kernel=$(find_kernel)
    build_root "$@"
    boot "$kernel" | tee "$DIRECTORY/log"
    grep -q '^the tests passed' "$DIRECTORY/log"
}

require() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || {
            echo "$program is missing: apt-get install qemu-system-x86 busybox-static cpio" >&2
            exit 1
        }
    done
}

# Prints where the kernel's image is.
find_kernel() {
    local package
    package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image/ { print $2 }')
    if ! compgen -G "$DIRECTORY/boot/vmlinuz-*" >/dev/null; then
        (cd "$DIRECTORY" && apt-get download -qq "$package" && dpkg-deb -x "$package"_*.deb . &&
            rm "$package"_*.deb)
    fi
    compgen -G "$DIRECTORY/boot/vmlinuz-*"
}

# A root of the tests, the programs that they start, and the libraries of both.
build_root() {
    local root=$DIRECTORY/root tests
    rm -rf "$root"
    mkdir -p "$root"/{bin,dev,proc,sys,tmp}
    tests=$(cargo test --locked --no-run --test server --message-format=json |
        sed -n 's/.*"executable":"\([^"]*deps\/server-[^"]*\)".*/\1/p')
    copy "$tests" "$root/server"
    local program
    for program in ringback ringback-load; do
        copy "target/debug/$program" "$root$PWD/target/debug/$program"
    done
    ldd "$tests" target/debug/ringback{,-load} | grep -o '/[^ ]*\.so[^ ]*' | sort -u |
        while read -r library; do copy "$library" "$root$library"; done
    cp "$(command -v busybox)" "$root/bin/"
    write_init "$@" >"$root/init"
    chmod +x "$root/init"
    (cd "$root" && find . | cpio --quiet -o -H newc) >"$DIRECTORY/initrd"
}

# Without what only a debugger reads.
copy() {
    mkdir -p "$(dirname "$2")"
    strip -o "$2" "$1"
}

write_init() {
    (($#)) || set -- "${CORE[@]}"
    cat <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
ip link set lo up
# Hundreds of peers that do not read fill the buffers of their sockets.
echo 1000000 1000000 1000000 >/proc/sys/net/ipv4/tcp_mem
ulimit -n 8192
uname -r
/server --test-threads 1 $* && echo "the tests passed"
poweroff -f
INIT
}

boot() {
    qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 4G -nographic -no-reboot -kernel "$1" \
        -initrd "$DIRECTORY/initrd" -append "console=ttyS0 quiet panic=-1" </dev/null | sed -u 's/\r//g'
}

usage() {
    echo "usage: scripts/kernel-test.sh [FILTER...]" >&2
    exit 2
}

main "$@"
