cd /tmp
tar --sort=name -cf tree.tar -C / usr/include usr/share/perl usr/lib/python3.11 && tar -tf tree.tar | sha256sum
mkdir out && tar -xf tree.tar -C out
find out | wc -l
for folder in usr/include usr/share/perl usr/lib/python3.11; do diff -r --no-dereference "/$folder" "out/$folder" | wc -l; done
tar --sort=name --numeric-owner -C out -cf again.tar usr && tar -tvf again.tar | awk '{ print $1, $2, $3, $6, $7, $8 }' | sha256sum
gzip -1 tree.tar && gzip -t tree.tar.gz && echo whole
tar -xf /nowhere/file.tar 2>/dev/null || echo "no archive: $?"
