"""The reasons why a task ends, beside the reasons why an order is rejected. Codes OS-6.. to OS-9.."""

from __future__ import annotations

from include.order_sync.reason import Reason

# The params of a run, and what it may read.
UNKNOWN_PARAM = Reason("OS-601", "a param that the DAG does not have", "trigger it again with the name that is meant")
WRONG_PARAM = Reason("OS-602", "a param with a value that can't be used", "trigger it again with a value as it says")
NO_WINDOW = Reason(
    "OS-603",
    "a run without a data interval and without the params `from` and `to`",
    "trigger it again with both params, or with a logical date",
)
NO_IDS_QUERY = Reason(
    "OS-604",
    "a run by order ids alone, of a source that can't be asked by them",
    "give `from` and `to` too, or give the source a `by_ids_query`; of a CSV drop, name orders that a file has had",
)
ORDERS_NOT_FOUND = Reason(
    "OS-605",
    "none of the order ids is in the source",
    "compare the ids with the source: they count as the shop writes them",
)
TRUST_IN_THE_PAST = Reason(
    "OS-606",
    "`trust: source` in a run that does not read the present",
    "give a `to` in the future, or `order_ids` alone",
)
NO_CHOICE = Reason(
    "OS-607", "a decision or a dismissal that does not say of what", "give the params that the message names"
)
NONE_HELD = Reason(
    "OS-608",
    "a decision about orders that are not held",
    "look at the held orders: the page's Quarantine lists them",
)
LEFT_OUT = Reason(
    "OS-609",
    "older orders, or files, that the run has left out",
    "the message names them, and the run or setting that takes them up",
)

# The configuration and the settings of Airflow.
MISTAKEN = Reason("OS-611", "mistakes in the configuration", "correct what the message names in order_sync.yaml")
NO_DESTINATION = Reason(
    "OS-612", "a name that the configuration does not have, or has with mistakes", "correct the name, or the mistakes"
)
RISKY_SETTINGS = Reason(
    "OS-613",
    "settings of Airflow that put orders at risk",
    "set them as the message says; `python -m order_sync_airflow.doctor` looks again",
)
NO_FERNET_KEY = Reason("OS-614", "no key for the quarantine's rows", "set Airflow's `[core] fernet_key`")
COMMAND = Reason("OS-615", "a command that was given what it can't use", "give it what the message says")
NO_CONNECTION = Reason(
    "OS-616",
    "a connection that is not there, or of another type",
    "add it under Admin > Connections, or correct its type",
)
BAD_CONNECTION = Reason(
    "OS-617", "a connection that lacks a field, or has one that can't be used", "correct the field it names"
)

# The source.
COLUMNS = Reason(
    "OS-701", "columns that are missing, or can't be told apart", "name them in the source's `columns`, or add them"
)
QUERY_WINDOW = Reason(
    "OS-702", "a query that does not use its window as it must", "use the parameters that the message names"
)
QUERY_FAILED = Reason("OS-703", "a query that the database refuses", "correct the query's file")
BYTES = Reason("OS-704", "a column of bytes instead of text", "cast it in the query")
CHARACTER_SET = Reason(
    "OS-705", "a connection whose character set loses letters", 'set "charset": "utf8mb4" in its extra'
)
WINDOW_TYPE = Reason(
    "OS-706", "a window that is compared with values of another type", "set the source's `window_type` as it says"
)
ROW_TOO_LARGE = Reason("OS-707", "a row that is too large", "leave the large column out of the query")
NO_HEADER = Reason("OS-708", "a first line that is no header", "write the columns' names there, or say `header: none`")
FILES_UNUSABLE = Reason("OS-709", "no file of the drop could be used", "the message names the fault of each file")
NO_FOLDER = Reason("OS-710", "no folder at the source's `path`", "make it, or correct the `path`")
NO_LOGIN = Reason("OS-711", "a database that refuses the login", "correct the connection's login, password or database")
STAGING_RIGHTS = Reason("OS-712", "a staging folder that can't be written", "give the worker's user the right")
STAGED_GONE = Reason("OS-713", "staged parts that are gone", "clear the run from its extract task on")
OWN_FAULT = Reason("OS-714", "a fault of Order Sync", "report it, with the task's log")
SMALL_FILE = Reason("OS-715", "a file that can't be read as CSV", "save it as CSV in UTF-8")

# The ledger.
NOT_POSTGRESQL = Reason("OS-801", "a ledger that is not in PostgreSQL", "correct the connection `order_sync_ledger`")
POOLER = Reason("OS-802", "a ledger behind a pooler", "let the connection point at PostgreSQL itself")
RENAMED = Reason(
    "OS-803", "a destination whose old name or `renamed_from` does not fit the ledger", "correct the name as it says"
)
ENCODING = Reason("OS-804", "a ledger's database that is not in UTF-8", "create it anew with `encoding 'UTF8'`")
LEDGER_RIGHTS = Reason("OS-805", "a ledger's user that lacks rights", "grant them")
FOREIGN_LEDGER = Reason(
    "OS-806",
    "a ledger that was restored, or is another Airflow's",
    'docs/operating.md, "A ledger that was restored", says how to go on',
)

# The service.
REDIRECT = Reason("OS-901", "a service that redirects", "put the address it leads to into the connection's host")
REFUSED_LOGIN = Reason(
    "OS-902", "a service that refuses the account", "correct the connection's login or password, or ask the service"
)
REFUSED_CALL = Reason(
    "OS-903", "a service that refuses the call", "look at the connection's host and at the account's features"
)
NO_ADDRESS = Reason("OS-904", "a service's address that is none", "correct the host and the port in the connection")
ACCEPTS_NOTHING = Reason(
    "OS-905", "a service that accepts no order at all", "look at the account; then redrive the rejected orders"
)
REFUSES_ALL = Reason(
    "OS-906", "a service that refuses batch after batch", "look at the account; then redrive this destination"
)
NEWLY_HELD = Reason(
    "OS-907",
    "orders that this run holds",
    "look them up at the service; then trigger `order_sync_redrive` with a decision",
)
NOT_JUDGED_BATCHES = Reason(
    "OS-908", "batches that the service refused as a whole", "look at the account and the rows; then redrive them"
)
FAILING_ORDERS = Reason(
    "OS-909", "orders at which the service fails, while it takes others", "look at their rows; then redrive them"
)
TOO_MANY_REJECTED = Reason(
    "OS-910",
    "more rejected orders than the destination's threshold",
    "the log has a table of their reasons; mend the frequent ones, and redrive",
)
SUMS_OFF = Reason("OS-911", "sums that do not add up", "clear the run from extract on; report it if they stay so")
NOT_APPROVED = Reason(
    "OS-912",
    "more notifications than may leave without a person's approval",
    "look at the map; then clear the run from transform on, and approve it",
)

# What is no stop yet: the task tries again.
TRY_AGAIN = Reason(
    "OS-951", "nothing was taken; the task tries again", "none at first; if it goes on, look where the message says"
)
IN_DOUBT = Reason(
    "OS-952", "a request without a whole answer", "none at first: the next try goes on by the service's rule"
)
REFUSED_BATCH = Reason("OS-953", "a batch that the service refused", "the load finds or sets aside its orders")
TIME_LIMIT = Reason("OS-954", "a task that reached its time limit", "look at the last lines of its log")
UNKNOWN_ERROR = Reason("OS-955", "an error that is not known", "see the traceback in the task's log, and report it")

STOPS = tuple(value for value in dict(globals()).values() if isinstance(value, Reason))
