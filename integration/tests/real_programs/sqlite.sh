cd /tmp
sqlite3 base.db <<'SQL'
pragma journal_mode = wal;
create table items (id integer primary key, name text, value int);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) insert into items select i, 'item ' || i, i * 7 % 1000 from n;
create index by_value on items (value);
pragma integrity_check;
select count(*), sum(value) from items;
SQL
for row in $(seq 60); do sqlite3 base.db "pragma journal_mode = delete; insert into items (name, value) values ('late', $row)"; done | sort | uniq -c
sqlite3 base.db "select count(*) from items where name = 'late'; vacuum; pragma integrity_check"
sqlite3 base.db ".backup copy.db" && sqlite3 copy.db "select max(value) from items"
sqlite3 /nowhere/base.db "select 1 from sqlite_master" 2>&1 || echo "no database: $?"
ls base.db copy.db base.db-wal 2>/dev/null
