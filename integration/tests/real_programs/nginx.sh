mkdir -p /tmp/nginx/pages && cd /tmp/nginx
for page in $(seq 50); do echo "page $page" >"pages/$page.html"; done
chmod 600 pages/7.html
cat >nginx.conf <<'CONF'
user www-data;
worker_processes 2;
pid /tmp/nginx/pid;
error_log /tmp/nginx/error.log;
events { worker_connections 64; }
http {
    access_log /tmp/nginx/access.log;
    server { listen 127.0.0.1:8080; root /tmp/nginx/pages; }
}
CONF
nginx -t -q -c /tmp/nginx/nginx.conf && nginx -c /tmp/nginx/nginx.conf && echo "started: $?"
get() {
    exec 3<>/dev/tcp/127.0.0.1/8080
    printf 'GET /%s HTTP/1.0\r\n\r\n' "$1" >&3
    sed -n -e '1p' -e '$p' <&3 | tr -d '\r'
    exec 3>&-
}
for page in $(seq 50); do get "$page.html"; done | sort | uniq -c | sort -n | tail -3
get 42.html
get missing.html | head -1
nginx -c /tmp/nginx/nginx.conf -s reopen && get 1.html
nginx -c /tmp/nginx/nginx.conf -s quit && echo "told to stop: $?"
while [ -e /tmp/nginx/pid ]; do :; done
grep -c "GET" access.log
grep -c "Permission denied" error.log
