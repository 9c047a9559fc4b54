# A repository made on the spot, of two packages with scripts of their own; one depends on the other.
mkdir -p /tmp/repository && cd /tmp/repository
package() {
    mkdir -p "$1/DEBIAN" "$1/usr/share/$1"
    for index in $(seq 40); do echo "$1 $index" >"$1/usr/share/$1/file-$index"; done
    printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody\nDescription: test\n%s' "$1" "$2" >"$1/DEBIAN/control"
    printf '#!/bin/sh\nset -e\necho "$1" >>/var/lib/%s.log\n' "$1" >"$1/DEBIAN/postinst"
    printf '#!/bin/sh\nset -e\necho "$1" >>/var/lib/%s.log\n' "$1" >"$1/DEBIAN/prerm"
    chmod 755 "$1/DEBIAN/postinst" "$1/DEBIAN/prerm"
    dpkg-deb --root-owner-group --build "$1" "$1.deb" >/dev/null
    { dpkg-deb --field "$1.deb"; stat --printf 'Filename: ./%n\nSize: %s\n' "$1.deb"; echo "SHA256: $(sha256sum <"$1.deb" | cut -d' ' -f1)"; echo; } >>Packages
}
package lanner-base ""
package lanner-top "Depends: lanner-base
"
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
echo "deb [trusted=yes] file:/tmp/repository ./" >/etc/apt/sources.list
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y lanner-top >/dev/null
dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' lanner-base lanner-top
dpkg --verify lanner-base lanner-top && echo verified
apt-get remove -qq -y lanner-top >/dev/null
apt-get install -qq -y lanner-missing 2>/dev/null || echo "not found: $?"
dpkg-query -W -f '${Package} ${db:Status-Status}\n' lanner-base lanner-top
cat /var/lib/lanner-base.log /var/lib/lanner-top.log
ls /usr/share/lanner-base | wc -l
