# Order Sync in Airflow's own image: our packages beside those of the image, and the project's code, readable only.
FROM docker.io/apache/airflow:3.3.2-python3.12

USER root
# A new named volume takes over the owner and the rights of the folder it is mounted on. Staged parts are personal data.
RUN install -d -o airflow -g root -m 0700 /var/lib/order_sync /var/lib/order_sync/staging /var/lib/order_sync/drop

USER airflow
COPY requirements.in requirements.txt deploy/image_constraints.py /tmp/order_sync/
# Wheels only: nothing is compiled, so the image needs no build tools. Celery 5.7 breaks Airflow's Celery provider 3.26.
RUN python /tmp/order_sync/image_constraints.py /tmp/order_sync/requirements > /tmp/constraints.txt \
    && pip install --no-cache-dir --only-binary :all: --constraint /tmp/constraints.txt \
        --requirement /tmp/order_sync/requirements.in "celery<5.7" \
    && rm /tmp/constraints.txt

USER root
WORKDIR /opt/airflow
COPY dags dags
COPY plugins plugins
COPY include include
COPY order_sync.dist-info order_sync.dist-info
COPY sandbox sandbox
COPY demo demo
COPY deploy deploy
# The services cannot write into these folders, so Python's cache is made now. `dags` is the image's own, and writable in it;
# with the sticky bit of their parent nobody can put another folder in the place of one of them.
# A checkout made with a narrow umask is readable too.
RUN chmod -R a+rX dags plugins include order_sync.dist-info sandbox demo deploy \
    && python -m compileall -q dags plugins include sandbox demo deploy \
    && chown root:root /opt/airflow dags && chmod 0755 dags && chmod 1775 /opt/airflow

USER airflow
