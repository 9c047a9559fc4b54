mkdir -p /tmp/redis && cd /tmp/redis
start() { redis-server --port 0 --unixsocket /tmp/redis/socket --dir /tmp/redis --daemonize yes --appendonly yes --logfile /tmp/redis/log >/dev/null; }
ask() { redis-cli -s /tmp/redis/socket "$@"; }
await() { until [ "$(ask ping 2>/dev/null)" = PONG ]; do :; done; }
start && await
for key in $(seq 500); do echo "set key-$key $key"; done | ask | sort | uniq -c
ask dbsize
ask get key-77
ask save
ask bgrewriteaof >/dev/null
until ask info persistence | grep -q "aof_rewrite_in_progress:0"; do :; done
ask config set dir /nowhere
ask shutdown
ls dump.rdb appendonlydir | sed 's/[0-9]*\.base/N.base/; s/[0-9]*\.incr/N.incr/'
start && await
ask dbsize
ask shutdown nosave
echo "ended: $?"
