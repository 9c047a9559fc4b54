bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
mkdir -p /tmp/pg /tmp/pg/socket && chown -R postgres /tmp/pg && cd /tmp/pg
as() { setpriv --reuid=postgres --regid=postgres --init-groups env -i PATH="$bin:/usr/bin:/bin" PGHOST=/tmp/pg/socket PGDATABASE=postgres "$@"; }
as initdb --no-sync --no-locale --encoding=UTF8 -D /tmp/pg/data >/tmp/pg/initdb.log && echo "made: $?"
as pg_ctl -s -w -D /tmp/pg/data -l /tmp/pg/log -o "-k /tmp/pg/socket -h '' -c fsync=off -c shared_buffers=16MB" start && echo "started: $?"
as pgbench -q -i -s 1 2>/dev/null && as psql -Atc "select count(*) from pgbench_accounts"
as pgbench -n -c 4 -j 2 -t 100 2>/dev/null | grep -E "^(number of (clients|threads|trans.*processed|failed)|scaling)"
as psql -Atc "select sum(bbalance) = sum(delta) from pgbench_branches, (select sum(delta) as delta from pgbench_history) as history"
as psql -Atc "copy (select * from pgbench_tellers order by tid) to '/tmp/pg/tellers'" && wc -l </tmp/pg/tellers
as psql -Atc "copy pgbench_tellers from '/nowhere/file'" 2>&1 | head -1
as pg_ctl -s -w -D /tmp/pg/data -m fast stop && echo "stopped: $?"
grep -c -E "FATAL|PANIC" /tmp/pg/log
