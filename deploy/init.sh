#!/usr/bin/env bash
# The one-shot `init` of docker-compose.yaml: Airflow's and the ledger's tables up to date, and a first user.
# It may run again at any time: it changes only what is missing.
set -euo pipefail

airflow db migrate
python -m order_sync_airflow.ledger upgrade
# By standard input: the arguments of a process are readable by others. The user's later password stays.
printf '%s\n%s\n' "$AIRFLOW_ADMIN_PASSWORD" "$AIRFLOW_ADMIN_PASSWORD" | airflow users create \
    --username admin --role Admin --firstname Order --lastname Sync --email admin@localhost
