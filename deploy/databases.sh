#!/usr/bin/env bash
# The one-shots that make databases: `databases.sh NAME...` gives each database a user of the same name, who owns it.
# The user's password is that of <NAME>_PASSWORD, in capitals, also if it has changed since: so it is rotated in .env.
set -euo pipefail

for name in "$@"; do
    password_variable=${name^^}_PASSWORD
    export NEW_PASSWORD=${!password_variable}
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set name="$name" <<'SQL'
\getenv password NEW_PASSWORD
SELECT format('CREATE ROLE %I LOGIN', :'name')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" LOGIN PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
-- Otherwise each of the users could connect to the databases of the others.
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
    echo "Database $name and its user $name are there."
done
