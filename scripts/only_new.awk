# Print the packages of the second lock that the first lock does not hold: awk -f only_new.awk FIRST SECOND
FNR == NR { if ($1 ~ /==/) known[$1] = 1; next }
$1 ~ /==/ { wanted = !($1 in known) }
wanted { print }
