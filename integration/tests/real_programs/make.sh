mkdir -p /tmp/build && cd /tmp/build
objects=""
for unit in $(seq 16); do
    printf '#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <sys/stat.h>\nint unit_%s(void) { return %s; }\n' "$unit" "$unit" >"unit-$unit.c"
    objects="$objects unit-$unit.o"
done
{
    for unit in $(seq 16); do echo "int unit_$unit(void);"; done
    printf '#include <stdio.h>\nint main(void) { printf("%%d\\n", 0'
    for unit in $(seq 16); do printf ' + unit_%s()' "$unit"; done
    echo '); return 0; }'
} >main.c
printf 'program: main.o%s\n\tgcc -o $@ $^\nclean:\n\trm -f *.o program\n' "$objects" >Makefile
make -s -j2 CFLAGS=-O1 && ./program
make -s -j2 && echo "nothing to do"
touch unit-3.c && make -j2 CFLAGS=-O1 | grep -c unit-3.c
echo "int unit_3(void) { return }" >unit-3.c
make -s -j2 2>/dev/null || echo "does not compile: $?"
make -s clean && ls | wc -l
