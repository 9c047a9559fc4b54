export HOME=/tmp/home GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE="2020-01-01 00:00 +0000" GIT_COMMITTER_DATE="2020-01-01 00:00 +0000"
mkdir -p /tmp/home /tmp/origin && cd /tmp/origin
git init -q -b main
for commit in 1 2 3 4 5 6; do
    mkdir -p "folder-$commit"
    for file in $(seq 60); do echo "$commit $file" >"folder-$commit/file-$file"; done
    git add . && git commit -q -m "commit $commit"
done
git gc -q && git tag one
git clone -q file:///tmp/origin /tmp/clone && cd /tmp/clone
git rev-parse HEAD one
git log --oneline | wc -l
git fsck --full && git status --short && find . -type f -not -path './.git/*' | wc -l
git checkout -q -b other && echo change >>folder-1/file-1 && git commit -q -a -m change && git push -q origin other
git -C /tmp/origin rev-parse other
git clone -q /tmp/nowhere /tmp/none 2>/dev/null || echo "no repository: $?"
