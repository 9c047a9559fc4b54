cd /tmp
perl -MFile::Temp -MFile::Find -MPOSIX -MData::Dumper -MEncode -e '
my ($file, $name) = File::Temp::tempfile();
print $file "line $_\n" for 1 .. 100;
close $file;
open(my $in, "<", $name) or die;
my @lines = <$in>;
print scalar(@lines), " ", `echo from a shell`;
open(my $pipe, "-|", "sort", "-r", $name) or die;
print scalar(<$pipe>);
print open(my $none, "<", "/nowhere/file") ? "opened\n" : "$!\n";
my $count = 0;
find(sub { $count++ if /\.pm$/ }, "/usr/share/perl/5.36.0/File");
print "$count\n";
exec("sh", "-c", "echo executed; exit 3");
'
echo "exit $?"
for start in $(seq 10); do perl -e "print $start, ' '"; done
perl -e 'use Nonsense;' 2>/dev/null || echo "no module: $?"
