mkdir -p /tmp/debuggers && cd /tmp/debuggers
# Numbers of processes, addresses and lines of other processes in between differ from one run to the next.
seen() { sed -E 's/^[0-9]+ +//; s/0x[0-9a-f]+/N/g; s/si_(pid|utime|stime)=[0-9]+/N/g; s/PID [0-9]+/PID N/; /resumed>|unfinished/d; /^\+\+\+/d' "$1" | sort; }
strace -f -o log -e trace=execve,exit_group sh -c 'true; /bin/echo one; ls /nowhere; none; exec /bin/echo two'
echo "strace: $?" && seen log
strace -f -o log -e trace=execve bash -c 'for number in 1 2 3 4 5; do /bin/echo $number & done; wait' | sort
echo "jobs: $?" && grep -c 'execve("/bin/echo"' log
cat >threads.py <<'P'
import subprocess, threading
def run(number): said[number] = subprocess.run(["/bin/echo", str(number)], capture_output=True).stdout
said = {}
threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print(sorted(said.items()))
P
strace -f -o log -e trace=execve python3 threads.py
echo "threads: $?" && grep -c 'execve("/bin/echo"' log
# A thread that executes takes the place of its process, of which another thread waits.
cat >exec.py <<'P'
import os, threading
threading.Thread(target=os.execv, args=("/bin/echo", ["echo", "from a thread"])).start()
threading.Event().wait()
P
strace -f -o log -e trace=execve python3 exec.py
echo "thread: $?"
# One that fails goes on, although another thread waits in an open meanwhile.
cat >fails.py <<'P'
import os, threading, time
threading.Thread(target=open, args=("fifo",), daemon=True).start()
time.sleep(0.2)
try: os.execv("/nowhere", ["none"])
except OSError as error: print(error, flush=True)
os._exit(5)
P
mkfifo fifo
timeout 20 strace -f -o log -e trace=execve python3 fails.py
echo "fails: $?"
debug() { gdb -q -nx -batch -ex 'set startup-with-shell on' "$@" 2>&1 | sed -E 's/process [0-9]+/process N/; s/LWP [0-9]+/LWP N/; s/0x[0-9a-f]+/N/g' | grep -vE 'debuginfod|libthread_db|^warning|^$'; }
debug -ex run --args sh -c 'echo debugged; ls /nowhere; exit 3'
debug -ex 'catch exec' -ex run -ex 'info proc exe' -ex continue --args sh -c 'exec /bin/echo caught'
debug -ex 'set follow-fork-mode child' -ex run --args sh -c '/bin/echo followed; exit 4'
sleep 100 &
gdb -q -nx -batch -p $! -ex 'info proc exe' 2>/dev/null | grep -o '/usr/bin/.*'
kill $! && wait $!
echo "attached: $?"
