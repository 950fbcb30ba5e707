#!/usr/bin/env bash
# Make the image busybox:local from Debian's static busybox. No registry is needed.
set -euo pipefail
docker version >/dev/null 2>&1 || { echo "hello: no Docker daemon, so no image is made"; exit 0; }
docker image inspect busybox:local >/dev/null 2>&1 && exit 0
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,etc,tmp,proc,sys,dev,root}
cp /bin/busybox "$root/bin/busybox"
for applet in $("$root/bin/busybox" --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
echo 'root:x:0:0:root:/root:/bin/sh' > "$root/etc/passwd"
echo 'root:x:0:' > "$root/etc/group"
tar -C "$root" -c . | docker import --change 'ENV PATH=/bin' --change 'CMD ["sh"]' - busybox:local >/dev/null
echo "hello: made the image busybox:local"
