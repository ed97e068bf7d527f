"""The form of a connection to JustClick."""

TITLE = "JustClick"
HOOK = "JustClickHook"
ADDRESS = "https://USERNAME.justclick.ru"
LOGIN, LOGIN_HELP = "the account's login", "the name in the address, USERNAME"
SECRET, SECRET_HELP = "the API key", "from the account's API settings"
