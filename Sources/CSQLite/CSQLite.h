// SQLite as the distribution ships it. What is linked, and that it is linked statically, stands in Package.swift.
#include <sqlite3.h>
