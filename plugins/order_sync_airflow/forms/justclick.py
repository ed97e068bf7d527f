"""The form of a connection to JustClick."""

TITLE = "JustClick"
HOOK = "JustClickHook"
ADDRESS = "https://USERNAME.justclick.ru"
LOGIN, LOGIN_HELP = "Login", "the name in the address, USERNAME"
SECRET, SECRET_HELP = "API key", "from the account's API settings"
