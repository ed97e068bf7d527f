"""The form of a connection to Yespo."""

TITLE = "Yespo"
HOOK = "YespoHook"
ADDRESS = "https://esputnik.com"
LOGIN, LOGIN_HELP = "User name", "any word: Yespo looks at the key alone"
SECRET, SECRET_HELP = "API key", "from Settings > API of the account"
