cd /tmp
/usr/bin/python3 -c '
import json, sqlite3, ssl, subprocess, sys, tempfile, threading, xml.dom.minidom
print(len(sys.modules) > 100, json.dumps({"a": 1}), xml.dom.minidom.__file__)
with tempfile.TemporaryDirectory() as folder:
    threads = [threading.Thread(target=lambda n: open(f"{folder}/{n}", "w").write(str(n)), args=[n]) for n in range(20)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    print(sum(int(open(f"{folder}/{n}").read()) for n in range(20)))
print(subprocess.run(["sh", "-c", "exit 7"]).returncode, subprocess.check_output(["cat"], input=b"through a pipe"))
try:
    open("/nowhere/file")
except FileNotFoundError as error:
    print(error)
'
/usr/bin/python3 -c 'import nonsense' 2>/dev/null || echo "no module: $?"
for start in $(seq 10); do /usr/bin/python3 -c "print($start, end=' ')"; done
echo
